"""Step scaling policies: an alarm rings, and SageMaker is asked for more or fewer instances or copies."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.protocol import Action, Parameters

logger = logging.getLogger(__name__)

NAMESPACE = "sagemaker"
_ACTIVITIES_KEPT = 200
_DEFAULT_COOLDOWN_S = 300
"""botocore's service model, 1.44: StepScalingPolicyConfiguration."""


class StepScaling:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._rests: dict[str, float] = {}
        """By policy, until when it does nothing."""
        self._activities: deque[dict[str, Any]] = deque(maxlen=_ACTIVITIES_KEPT)
        """The newest first."""
        self._lock = Lock()

    def actions(self) -> dict[str, Action]:
        return {"DescribeScalingActivities": self.describe_activities}

    def describe_activities(self, request: Parameters) -> dict[str, Any]:
        wanted = ("ServiceNamespace", "ResourceId", "ScalableDimension")
        found = [
            activity
            for activity in list(self._activities)
            if all(request.get(name) in (None, activity[name]) for name in wanted)
        ]
        return {"ScalingActivities": found}

    def execute(self, policy_arn: str, *, alarm: str, over_by: float) -> None:
        """What the policy wants with the metric at `over_by` beyond the threshold of `alarm`, within the target's
        bounds and after its cooldown. What fails is logged, and may be tried again: nobody waits for it."""
        if time.monotonic() < self._rests.get(policy_arn, 0.0):
            return
        with self._lock:
            try:
                policy = self._policy(policy_arn)
                if policy is None:
                    logger.warning("no step scaling policy %s", policy_arn)
                    return
                self._execute(policy, alarm, over_by)
            except (ClientError, BotoCoreError) as error:
                logger.warning("scaling by %s: %s", policy_arn, error)

    def _execute(self, policy: Mapping[str, Any], alarm: str, over_by: float) -> None:
        steps = policy["StepScalingPolicyConfiguration"]
        key = {name: policy[name] for name in ("ServiceNamespace", "ScalableDimension")}
        targets = self._clients("application-autoscaling").describe_scalable_targets(
            **key, ResourceIds=[policy["ResourceId"]]
        )["ScalableTargets"]
        if not targets:
            return
        present = self._capacity(policy)
        step = find_step(steps.get("StepAdjustments", ()), over_by)
        if step is None:
            return
        wanted = adjust(steps["AdjustmentType"], present, step, int(steps.get("MinAdjustmentMagnitude", 0)))
        wanted = max(targets[0]["MinCapacity"], min(targets[0]["MaxCapacity"], wanted))
        if wanted == present:
            return
        activity = {
            "ActivityId": str(uuid.uuid4()),
            **key,
            "ResourceId": policy["ResourceId"],
            "Description": f"Setting desired capacity to {wanted}.",
            "Cause": f"alarm {alarm} in state ALARM triggered policy {policy['PolicyName']}",
            "StartTime": datetime.now(UTC),
            "StatusCode": "Successful",
            "StatusMessage": f"Successfully set desired capacity to {wanted}, from {present}.",
        }
        try:
            self._set_capacity(policy, wanted)
        except ClientError as error:
            activity |= {"StatusCode": "Failed", "StatusMessage": str(error)}
        else:
            self._rests[policy["PolicyARN"]] = time.monotonic() + steps.get("Cooldown", _DEFAULT_COOLDOWN_S)
        self._activities.appendleft({**activity, "EndTime": datetime.now(UTC)})
        logger.info("%s: %s %s", policy["ResourceId"], activity["StatusMessage"], activity["Cause"])

    def _policy(self, arn: str) -> Mapping[str, Any] | None:
        pages = self._clients("application-autoscaling").get_paginator("describe_scaling_policies")
        for page in pages.paginate(ServiceNamespace=NAMESPACE):
            for policy in page["ScalingPolicies"]:
                if policy["PolicyARN"] == arn and "StepScalingPolicyConfiguration" in policy:
                    found: Mapping[str, Any] = policy
                    return found
        return None

    def _capacity(self, policy: Mapping[str, Any]) -> int:
        sagemaker = self._clients("sagemaker")
        kind, name, variant = _resource(policy)
        if kind == "inference-component":
            component = sagemaker.describe_inference_component(InferenceComponentName=name)
            return int(component["RuntimeConfig"]["DesiredCopyCount"])
        variants = sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
        found = next(entry for entry in variants if entry["VariantName"] == variant)
        if policy["ScalableDimension"].endswith("ProvisionedConcurrency"):
            return int(found["DesiredServerlessConfig"].get("ProvisionedConcurrency", 0))
        return int(found["DesiredInstanceCount"])

    def _set_capacity(self, policy: Mapping[str, Any], wanted: int) -> None:
        sagemaker = self._clients("sagemaker")
        kind, name, variant = _resource(policy)
        if kind == "inference-component":
            sagemaker.update_inference_component_runtime_config(
                InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": wanted}
            )
            return
        change: dict[str, Any] = {"DesiredInstanceCount": wanted}
        if policy["ScalableDimension"].endswith("ProvisionedConcurrency"):
            change = {"ServerlessUpdateConfig": {"ProvisionedConcurrency": wanted}}
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": variant, **change}]
        )


def find_step(steps: Sequence[Mapping[str, Any]], over_by: float) -> int | None:
    """The adjustment of the step within whose bounds the metric is; None if there is none."""
    for step in steps:
        above = over_by >= step.get("MetricIntervalLowerBound", -math.inf)
        if above and over_by < step.get("MetricIntervalUpperBound", math.inf):
            return int(step["ScalingAdjustment"])
    return None


def adjust(kind: str, present: int, adjustment: int, least: int = 0) -> int:
    """The capacity that a step means; of a percentage at least `least` more or less. AWS rounds away from none and
    towards the present capacity beyond it (Application Auto Scaling user guide, "Step scaling")."""
    match kind:
        case "ExactCapacity":
            return adjustment
        case "PercentChangeInCapacity":
            change = present * adjustment / 100
            rounded = math.copysign(max(1, math.floor(abs(change))), change) if change else 0
            return present + int(math.copysign(max(abs(rounded), least), adjustment))
        case _:
            return present + adjustment


def _resource(policy: Mapping[str, Any]) -> tuple[str, str, str]:
    """Kind, name and variant of endpoint/NAME/variant/VARIANT or inference-component/NAME."""
    kind, name, *rest = policy["ResourceId"].split("/")
    return kind, name, rest[-1] if rest else ""
