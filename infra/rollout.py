"""How an update reaches a standing endpoint, and what takes it back: SageMaker's deployment guardrails.

Sources: SageMaker's service model (BlueGreenUpdatePolicy, RollingUpdatePolicy, InferenceComponentRollingUpdatePolicy)
and the developer guide, "Deployment guardrails for updating models in production" with its pages "Exclusions" and
"Auto-rollback configuration and monitoring". The first creation is none of it: there is nothing to go back to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.alarm import Alarm, alarm_arn
from infra.alarm_rules import component_alarms, rollback_alarms
from infra.alarms import Alarms, add_silent_alarm
from infra.endpoint import Endpoint
from infra.fleets import fleets
from infra.served import all_served, is_package
from rerank_toolkit.contracts.plan import Deployment, Rollout

SHORTEST_S, LONGEST_S = 600, 28_800
"""Bounds of a rollout's time limit."""

FLEET_START_S = 1_200
"""Set aside for machines, image and artifact to come, of which no figure is published. What takes longer goes back."""


def rollout_of(deployment: Deployment) -> Rollout | None:
    """The plan's, or what the fleet allows; None where SageMaker knows none and changes over at once.

    A step is at most half of each variant's instances, so it takes two of them to have one. With a single instance all
    traffic moves at once, and the old instance stands by for as long as a step would have waited.
    """
    if not has_guardrails(deployment):
        return None
    if deployment.rollout:
        return deployment.rollout
    divisible = smallest_fleet(deployment) >= 2
    if deployment.mode == "inference-component":
        return Rollout(kind="rolling") if divisible else None
    return Rollout(kind="canary" if divisible else "all-at-once")


def has_guardrails(deployment: Deployment) -> bool:
    """Real-time and asynchronous endpoints have them; serverless ones, and Marketplace packages, do not."""
    return deployment.mode in ("realtime", "async", "inference-component") and not any(
        is_package(served) for served in all_served(deployment)
    )


def smallest_fleet(deployment: Deployment) -> int:
    """Instances of the variant with the fewest, or copies, when the fewest stand: an update may come at any time."""
    return min((fleet.least for fleet in fleets(deployment)), default=0)


def steps(rollout: Rollout) -> int:
    """Until all traffic has moved."""
    match rollout.kind:
        case "all-at-once":
            return 1
        case "canary":
            return 2
        case "linear" | "rolling":
            return math.ceil(100 / rollout.percent)


def waits_s(rollout: Rollout) -> int:
    """All pauses: one after each step and, where the old fleet stands until the end, one before it goes."""
    return (steps(rollout) + (rollout.kind != "rolling")) * rollout.wait_s


def look_at_alarms(stack: cdk.Stack, deployment: Deployment) -> list[iam.PolicyStatement]:
    """What the execution role needs for SageMaker to see whether an alarm rings; nothing where none ends a rollout."""
    if rollout_of(deployment) is None:
        return []
    alarms = (
        component_alarms(deployment)
        if deployment.mode == "inference-component"
        else rollback_alarms(deployment, config_name="")
    )
    arns = [alarm_arn(stack, alarm.full_name) for alarm in alarms]
    return [iam.PolicyStatement(actions=["cloudwatch:DescribeAlarms"], resources=arns)]


def guard(scope: Construct, deployment: Deployment, endpoint: Endpoint, *, runbook: str) -> None:
    """Gives the endpoint its rollout, with alarms of its own that end it; nothing where there is none."""
    rollout = rollout_of(deployment)
    if rollout is None or deployment.mode == "inference-component":
        return
    rollback = Construct(scope, "Rollback")
    rules = rollback_alarms(deployment, endpoint.config.attr_endpoint_config_name)
    alarms = [
        add_silent_alarm(rollback, rule, runbook=runbook, why="SageMaker looks at it during a rollout")
        for rule in rules
    ]
    _warn_of_haste(scope, rollout, rules)
    size = Step.of(deployment, rollout)
    rolling = rollout.kind == "rolling"
    endpoint.endpoint.deployment_config = sagemaker.CfnEndpoint.DeploymentConfigProperty(
        blue_green_update_policy=None if rolling else _blue_green(deployment, rollout, size),
        rolling_update_policy=_rolling(deployment, rollout, size) if rolling else None,
        auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
            alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.ref) for alarm in alarms]
        ),
    )


def guard_component(deployment: Deployment, component: sagemaker.CfnInferenceComponent, alarms: Alarms) -> None:
    """The same for an inference component, whose copies change over part by part.

    Its metrics don't tell old copies from new, so it shares the alarms that tell people.
    """
    rollout = rollout_of(deployment)
    if rollout is None:
        return
    rules = component_alarms(deployment)
    _warn_of_haste(component, rollout, rules)
    properties = sagemaker.CfnInferenceComponent
    step = Step.of(deployment, rollout)
    batch = properties.InferenceComponentCapacitySizeProperty(type=step.unit, value=step.value)
    component.deployment_config = properties.InferenceComponentDeploymentConfigProperty(
        rolling_update_policy=properties.InferenceComponentRollingUpdatePolicyProperty(
            maximum_batch_size=batch,
            rollback_maximum_batch_size=batch,
            wait_interval_in_seconds=rollout.wait_s,
            maximum_execution_timeout_in_seconds=time_limit_s(deployment, rollout),
        ),
        auto_rollback_configuration=properties.AutoRollbackConfigurationProperty(
            alarms=[properties.AlarmProperty(alarm_name=alarms.named(rule).ref) for rule in rules]
        ),
    )


def _warn_of_haste(scope: Construct, rollout: Rollout, rules: Sequence[Alarm]) -> None:
    """Not refused, for SageMaker does it; but an alarm that rings after the step takes nothing back."""
    slowest = max(rules, key=lambda rule: rule.window_s)
    if rollout.wait_s < slowest.window_s:
        cdk.Annotations.of(scope).add_warning_v2(
            "rerank-toolkit:short-wait",
            f"rollout.wait_s is {rollout.wait_s}, but {slowest.full_name} takes {slowest.window_s} s to ring",
        )


@dataclass(frozen=True)
class Step:
    """How much of a fleet changes at once."""

    unit: Literal["INSTANCE_COUNT", "COPY_COUNT", "CAPACITY_PERCENT"]
    value: int

    @classmethod
    def of(cls, deployment: Deployment, rollout: Rollout) -> Step:
        """The share that the rollout says, of whole instances: at least one, and at most half of them.

        Of one fleet of a fixed size that is a number of them. Of fleets that differ, or grow and shrink, it is a share
        that is an instance of the smallest.
        """
        smallest = smallest_fleet(deployment)
        counts = all_served(deployment)
        if len(counts) == 1 and deployment.scaling is None:
            whole = min(math.ceil(smallest * rollout.percent / 100), smallest // 2)
            unit: Literal["INSTANCE_COUNT", "COPY_COUNT"] = (
                "COPY_COUNT" if deployment.mode == "inference-component" else "INSTANCE_COUNT"
            )
            return cls(unit, max(1, whole))
        return cls("CAPACITY_PERCENT", min(50, max(rollout.percent, math.ceil(100 / max(1, smallest)))))


def time_limit_s(deployment: Deployment, rollout: Rollout) -> int:
    """When a rollout that hangs is given up: new machines come once, but batch by batch where they replace the old."""
    slowest = max(served.startup_timeout_s for served in all_served(deployment))
    starts = steps(rollout) if rollout.kind == "rolling" else 1
    return min(max(waits_s(rollout) + starts * (FLEET_START_S + slowest), SHORTEST_S), LONGEST_S)


def _blue_green(
    deployment: Deployment, rollout: Rollout, step: Step
) -> sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty:
    size = sagemaker.CfnEndpoint.CapacitySizeProperty(type=step.unit, value=step.value)
    return sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
        traffic_routing_configuration=sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
            type=rollout.kind.replace("-", "_").upper(),
            wait_interval_in_seconds=rollout.wait_s,
            canary_size=size if rollout.kind == "canary" else None,
            linear_step_size=size if rollout.kind == "linear" else None,
        ),
        termination_wait_in_seconds=rollout.wait_s,
        maximum_execution_timeout_in_seconds=time_limit_s(deployment, rollout),
    )


def _rolling(deployment: Deployment, rollout: Rollout, step: Step) -> sagemaker.CfnEndpoint.RollingUpdatePolicyProperty:
    size = sagemaker.CfnEndpoint.CapacitySizeProperty(type=step.unit, value=step.value)
    return sagemaker.CfnEndpoint.RollingUpdatePolicyProperty(
        maximum_batch_size=size,
        # Left to itself it goes back with a second fleet at once, for which there is no room: that is why it rolls.
        rollback_maximum_batch_size=size,
        wait_interval_in_seconds=rollout.wait_s,
        maximum_execution_timeout_in_seconds=time_limit_s(deployment, rollout),
    )
