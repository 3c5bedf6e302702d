"""The subnets that a plan brings along."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import ExistingNetwork, Plan

FEWEST_SUBNETS = 2
"""In different zones, even for one instance (SageMaker developer guide, on hosted endpoints in a VPC)."""

_SUBNET = re.compile(r"subnet-([0-9a-f]{8}|[0-9a-f]{17})")
_SECURITY_GROUP = re.compile(r"sg-([0-9a-f]{8}|[0-9a-f]{17})")


def check_network(plan: Plan) -> Iterator[Fault]:
    if plan.network is None:
        return
    for index, deployment in enumerate(plan.deployments):
        if deployment.mode == "serverless":
            yield Fault(
                f"deployments[{index}].mode",
                "is 'serverless', which SageMaker runs in no VPC; put it into a plan without network, "
                "or take another mode",
            )
    if isinstance(plan.network, ExistingNetwork):
        yield from _check_ids(plan.network.subnets, _SUBNET, "subnet-0123456789abcdef0", "network.subnets")
        yield from _check_ids(
            plan.network.security_groups, _SECURITY_GROUP, "sg-0123456789abcdef0", "network.security_groups"
        )
        count = len(set(plan.network.subnets))
        if count < FEWEST_SUBNETS:
            yield Fault(
                "network.subnets", f"has {count}; SageMaker asks for at least {FEWEST_SUBNETS}, in different zones"
            )


def _check_ids(ids: Sequence[str], form: re.Pattern[str], example: str, field: str) -> Iterator[Fault]:
    for index, name in enumerate(ids):
        if not form.fullmatch(name):
            yield Fault(f"{field}[{index}]", f"is {name!r}; expected an id such as {example}")
        elif name in ids[:index]:
            yield Fault(f"{field}[{index}]", f"is {name}, which the list has already")
