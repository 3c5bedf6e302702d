"""Tags of a stack and of each of its resources: they find the spending in the bill."""

from __future__ import annotations

import aws_cdk as cdk


def tag(stack: cdk.Stack, **more: str) -> None:
    for name, value in {"project": "rerank-toolkit", **more}.items():
        cdk.Tags.of(stack).add(name, value)
