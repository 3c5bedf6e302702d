"""Application Auto Scaling: SageMaker's newer dimensions, and policies that keep their ARN when they change."""

from __future__ import annotations

from enum import Enum
from typing import Any

from moto.applicationautoscaling import models, responses

_DIMENSIONS = {
    "SAGEMAKER_VARIANT_DESIRED_PROVISIONED_CONCURRENCY": "sagemaker:variant:DesiredProvisionedConcurrency",
    "SAGEMAKER_INFERENCE_COMPONENT_DESIRED_COPY_COUNT": "sagemaker:inference-component:DesiredCopyCount",
}

_put_scaling_policy = models.ApplicationAutoscalingBackend.put_scaling_policy


def put_scaling_policy(
    self: models.ApplicationAutoscalingBackend, **given: Any
) -> models.FakeApplicationAutoscalingPolicy:
    """moto makes a new ARN each time. Alarms name the policy by it, so an update must keep it, as it does on AWS."""
    key = models.FakeApplicationAutoscalingPolicy.formulate_key(
        given["service_namespace"], given["resource_id"], given["scalable_dimension"], given["policy_name"]
    )
    before = self.policies.get(key)
    policy = _put_scaling_policy(self, **given)
    if before is not None:
        policy.policy_arn = before.policy_arn
    return policy


def install() -> None:
    known = {dimension.name: dimension.value for dimension in models.ScalableDimensionValueSet}
    dimensions = Enum("ScalableDimensionValueSet", known | _DIMENSIONS)  # type: ignore[misc]  # known when it runs
    for module in (models, responses):  # an enum can't be extended, but both look it up by its name
        setattr(module, dimensions.__name__, dimensions)
    setattr(models.ApplicationAutoscalingBackend, put_scaling_policy.__name__, put_scaling_policy)
