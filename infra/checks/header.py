"""What the plan as a whole must be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from infra.data_stack import DATA
from infra.foundation import FOUNDATION
from infra.images_stack import IMAGES
from infra.network import NETWORK
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Plan

MOST_STACK_CHARACTERS = 63
"""An endpoint is called like its stack, and SageMaker's names end there."""

SHARED_STACKS = (FOUNDATION, NETWORK, DATA, IMAGES)

BOOTSTRAP_STACK = "CDKToolkit"
"""What `cdk bootstrap` made, unless it was told another name; a deploy under that name would take its place."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d")
_TAG_VALUE = re.compile(r"[\w .:/=+@-]{1,256}", re.ASCII)


def check_header(plan: Plan) -> Iterator[Fault]:
    if not _TAG_VALUE.fullmatch(plan.id):
        yield Fault(
            "id",
            f"is {plan.id!r}; it becomes a tag and part of a description, so expected 1 to 256 ASCII letters, "
            "digits, spaces or _ . : / = + @ -",
        )
    if not _REGION.fullmatch(plan.region):
        yield Fault("region", f"is {plan.region!r}; expected a region such as us-east-1")
    if not plan.deployments:
        yield Fault("deployments", "is empty; there is nothing to deploy")


def check_stacks(plan: Plan) -> Iterator[Fault]:
    times = Counter(_as_sagemaker_compares(deployment.stack) for deployment in plan.deployments)
    for index, deployment in enumerate(plan.deployments):
        field, name = f"deployments[{index}].stack", deployment.stack
        if name in SHARED_STACKS:
            yield Fault(field, f"is {name!r}, the name of a stack that all endpoints share; take another")
        if name == BOOTSTRAP_STACK:
            yield Fault(field, f"is {name!r}, the stack that `cdk bootstrap` made and each deploy needs; take another")
        if (claimed := times[_as_sagemaker_compares(name)]) > 1:
            yield Fault(
                field, f"is {name!r}, which {claimed} deployments claim, capitals left aside; each needs its own"
            )
        if len(name) > MOST_STACK_CHARACTERS or name.endswith("-"):
            yield Fault(
                field,
                f"is {name!r}; the endpoint is called like it, so expected at most {MOST_STACK_CHARACTERS} characters "
                "and a letter or digit at the end",
            )


def _as_sagemaker_compares(name: str) -> str:
    """Of two endpoints whose names differ in capitals alone, it makes only the first (CreateEndpoint in its API
    reference)."""
    return name.lower()
