"""Tags of a stack, which CloudFormation hands on to its resources: they find the spending in the bill."""

from __future__ import annotations

import aws_cdk as cdk

from rerank_toolkit.contracts.plan import Plan


def tag(stack: cdk.Stack, plan: Plan, **more: str) -> None:
    for name, value in {"project": "rerank-toolkit", "plan": plan.id, **more}.items():
        cdk.Tags.of(stack).add(name, value)
