"""The resource types that the local AWS makes, one file a service."""

from __future__ import annotations

from collections.abc import Mapping

from rerank_toolkit.local_sagemaker.cloudformation.resources import (
    applicationautoscaling,
    budgets,
    cdk,
    cloudwatch,
    ec2,
    ecr,
    events,
    iam,
    kms,
    logs,
    s3,
    sagemaker,
    sns,
    ssm,
    stepfunctions,
)
from rerank_toolkit.local_sagemaker.cloudformation.resources.base import Made, Request, ResourceType

_SERVICES = (
    applicationautoscaling,
    budgets,
    cdk,
    cloudwatch,
    ec2,
    ecr,
    events,
    iam,
    kms,
    logs,
    s3,
    sagemaker,
    sns,
    ssm,
    stepfunctions,
)

TYPES: Mapping[str, ResourceType] = {name: kind for service in _SERVICES for name, kind in service.TYPES.items()}


def _record(request: Request) -> Made:
    return Made(request.name(64))


def _nothing_was_made(_: Request) -> None:
    """A recorded resource has nothing behind it."""


RECORDED_ONLY = ResourceType(
    create=_record,
    update=lambda _: {},
    delete=_nothing_was_made,
    remark="The local AWS does not implement this type: recorded, nothing was made.",
)


def find_type(name: str) -> ResourceType:
    """The type called `name`; RECORDED_ONLY for one that nobody implements, which is recorded and told, not refused."""
    return TYPES.get(name, RECORDED_ONLY)


def is_recorded_only(name: str) -> bool:
    return name not in TYPES
