"""Tags of a stack and of each of its resources: they find the spending in the bill."""

from __future__ import annotations

import aws_cdk as cdk

PROJECT_TAG = "project"
PROJECT = "rerank-toolkit"


def tags(**more: str) -> dict[str, str]:
    return {PROJECT_TAG: PROJECT, **more}


def tag(stack: cdk.Stack, **more: str) -> None:
    for name, value in tags(**more).items():
        cdk.Tags.of(stack).add(name, value)
