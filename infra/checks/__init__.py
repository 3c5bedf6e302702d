"""What must hold for a plan to be deployable, beyond its being well-formed.

Each check yields faults instead of raising, so that a plan's author sees all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.checks.environment import check_environment
from infra.checks.header import check_header, check_stacks
from infra.checks.instance import check_instance
from infra.checks.realtime import check_realtime
from infra.checks.scaling import check_scaling
from infra.checks.source import check_artifact, check_image
from rerank_toolkit.catalog.models import UnknownModel, find_model
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Plan


def check_plan(plan: Plan, *, image_given: bool = False) -> list[Fault]:
    """Every reason why the plan can't be deployed; empty for a sound one.

    image_given: an image from elsewhere takes the place of the plan's, which may then be without.
    """
    return [
        *check_header(plan),
        *check_stacks(plan),
        *(
            fault
            for index, deployment in enumerate(plan.deployments)
            for fault in (
                *_check_deployment(deployment, plan.region, f"deployments[{index}]"),
                *check_image(deployment.image, f"deployments[{index}].image", required=not image_given),
            )
        ),
    ]


def _check_deployment(deployment: Deployment, region: str, field: str) -> Iterator[Fault]:
    try:
        find_model(deployment.model)
    except UnknownModel as error:
        yield Fault(f"{field}.model", str(error))
    yield from check_artifact(deployment, field)
    yield from check_environment(deployment, field)
    if deployment.mode != "realtime":
        yield Fault(f"{field}.mode", f"is {deployment.mode!r}; this version deploys realtime only")
        return
    yield from check_realtime(deployment, field)
    yield from check_instance(deployment, region, field)
    if deployment.scaling:
        yield from check_scaling(deployment.scaling, deployment.count, f"{field}.scaling")
