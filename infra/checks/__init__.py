"""What must hold for a plan to be deployable, beyond its being well-formed.

Each check yields faults instead of raising, so that a plan's author sees all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from infra.checks.asynchronous import check_async
from infra.checks.batch import check_batch
from infra.checks.environment import check_environment
from infra.checks.fields import check_fields
from infra.checks.header import check_header, check_stacks
from infra.checks.inference_component import check_inference_component
from infra.checks.instance import check_instance
from infra.checks.memory import check_memory
from infra.checks.network import check_network
from infra.checks.operations import check_operations
from infra.checks.realtime import check_realtime
from infra.checks.request import check_request
from infra.checks.rollout import check_rollout
from infra.checks.scaling import check_scaling
from infra.checks.secrets import check_secrets
from infra.checks.serverless import check_serverless
from infra.checks.source import check_artifact, check_image
from infra.checks.startup import check_startup
from infra.served import Served
from rerank_toolkit.catalog.models import UnknownModel, find_model
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Mode, Plan

_OF_MODE: Mapping[Mode, Callable[[Deployment, str], Iterator[Fault]]] = {
    "realtime": check_realtime,
    "serverless": check_serverless,
    "async": check_async,
    "batch": check_batch,
    "inference-component": check_inference_component,
}


def check_plan(plan: Plan, *, image_given: bool = False) -> list[Fault]:
    """Every reason why the plan can't be deployed; empty for a sound one.

    image_given: an image from elsewhere takes the place of the plan's, which may then be without.
    """
    return [
        *check_header(plan),
        *check_stacks(plan),
        *check_network(plan),
        *check_operations(plan.operations),
        *(
            fault
            for index, deployment in enumerate(plan.deployments)
            for fault in _check_deployment(deployment, plan.region, f"deployments[{index}]", image_given=image_given)
        ),
    ]


def _check_deployment(deployment: Deployment, region: str, field: str, *, image_given: bool) -> Iterator[Fault]:
    yield from check_fields(deployment, field)
    yield from _check_served(deployment, deployment, region, field, image_given=image_given)
    for index, variant in enumerate(deployment.variants):
        yield from _check_served(variant, deployment, region, f"{field}.variants[{index}]", image_given=image_given)
    yield from check_request(deployment, field)
    yield from check_scaling(deployment, field)
    yield from check_rollout(deployment, field)
    yield from _OF_MODE[deployment.mode](deployment, field)


def _check_served(
    served: Served, deployment: Deployment, region: str, field: str, *, image_given: bool
) -> Iterator[Fault]:
    """What holds for the deployment's own model as for each of its variants'."""
    try:
        find_model(served.model)
    except UnknownModel as error:
        yield Fault(f"{field}.model", str(error))
    yield from check_artifact(served, deployment.mode, region, field)
    yield from check_image(served, deployment, field, given=image_given)
    yield from check_environment(deployment, served, field)
    yield from check_secrets(served.environment, f"{field}.environment")
    if deployment.mode != "serverless":
        yield from check_instance(served, deployment.mode, region, field)
    yield from check_memory(deployment, served, field)
    yield from check_startup(deployment, served, field)
