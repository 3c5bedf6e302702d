"""What an endpoint serves: the deployment's own model, and one more for each of its variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rerank_toolkit.contracts.plan import Deployment, Image, ModelPackageArtifact, Variant

if TYPE_CHECKING:
    from constructs import Construct

Served = Deployment | Variant

MAIN = "AllTraffic"
"""The deployment's own variant, called as SageMaker's SDK calls an only one. It keeps the name when others come beside
it: under a new name it would be another, without the scaling, alarms and dashboards that know it by the old."""


def all_served(deployment: Deployment) -> tuple[Served, ...]:
    return (deployment, *deployment.variants)


def variant_name(served: Served) -> str:
    return served.name if isinstance(served, Variant) else MAIN


def is_shadow(served: Served) -> bool:
    """Whether it gets copies of requests, and its answers reach nobody."""
    return isinstance(served, Variant) and served.shadow


def is_package(served: Served) -> bool:
    """Whether it comes from the Marketplace: then image and settings are the seller's."""
    return isinstance(served.artifact, ModelPackageArtifact)


def image_of(served: Served, deployment: Deployment) -> Image | None:
    """A variant that names no image runs in the deployment's."""
    return served.image or deployment.image


def scope_of(stack: Construct, served: Served) -> Construct:
    """Where what is one variant's alone goes: never into the way of something of the stack that is called like it."""
    return _child(_child(stack, "Variants"), served.name) if isinstance(served, Variant) else stack


def _child(scope: Construct, name: str) -> Construct:
    from constructs import Construct  # noqa: PLC0415  # what only reads plans needs no CDK, and no node

    found = scope.node.try_find_child(name)
    return found if isinstance(found, Construct) else Construct(scope, name)
