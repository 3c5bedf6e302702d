"""What stands behind an endpoint, as CloudWatch tells it apart: one fleet for each variant."""

from __future__ import annotations

from dataclasses import dataclass

from infra.served import MAIN, Served, all_served, variant_name
from rerank_toolkit.contracts.plan import Deployment, Mode, Variant


@dataclass(frozen=True)
class Fleet:
    """The machines of one variant, or the copies of the inference component that they carry."""

    deployment: Deployment
    served: Served

    @property
    def endpoint(self) -> str:
        return self.deployment.stack

    @property
    def mode(self) -> Mode:
        return self.deployment.mode

    @property
    def variant(self) -> str:
        return variant_name(self.served)

    @property
    def component(self) -> str | None:
        return component_name(self.deployment) if self.mode == "inference-component" else None

    @property
    def shadow(self) -> bool:
        """Whether its answers reach nobody."""
        return isinstance(self.served, Variant) and self.served.shadow

    @property
    def least(self) -> int:
        """How many stand when the fewest do."""
        scaling = self.served.scaling
        if scaling is None:
            return self.served.count
        return min(self.served.count, scaling.min_instances, *(each.min_instances for each in scaling.schedule))

    def named(self, name: str) -> str:
        """Tells what belongs to this fleet from the same of the endpoint's others."""
        return name if self.variant == MAIN else f"{self.variant}.{name}"


def fleets(deployment: Deployment) -> list[Fleet]:
    """The deployment's own first; none of a batch job, whose machines come and go with it."""
    if deployment.mode == "batch":
        return []
    return [Fleet(deployment, served) for served in all_served(deployment)]


def component_name(deployment: Deployment) -> str:
    return deployment.stack
