"""Scaling of an endpoint: target tracking between bounds, bounds by the clock, and the way back from zero."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.endpoint import Endpoint
from infra.fleets import component_name
from infra.inference_component import ComponentEndpoint
from infra.scalable import SCALABLE, Metric, Scalable, Waking, sleeps
from infra.served import Served, all_served, scope_of, variant_name
from rerank_toolkit.contracts.plan import Deployment, Scaling

NAMESPACE = "AWS/SageMaker"


def add_scaling(stack: cdk.Stack, deployment: Deployment, endpoint: Endpoint) -> None:
    """Scales what the plan says of the endpoint: instances of its variants, provisioned concurrency, or the copies of
    its component, for which SageMaker brings instances by itself."""
    for served in all_served(deployment):
        if served.scaling is None:
            continue
        component = endpoint.component if isinstance(endpoint, ComponentEndpoint) else None
        if component:
            label = component_name(deployment)
            path = ["inference-component", label]
        else:
            # Named through its attribute, it stands before it is registered, and outlives that.
            label = endpoint.endpoint.attr_endpoint_name
            path = ["endpoint", label, "variant", variant_name(served)]
        scaling = Autoscaling(
            scope_of(stack, served), served, served.scaling, kind=SCALABLE[deployment.mode], path=path, label=label
        )
        if component:
            scaling.target.add_resource_dependency(component)


class Autoscaling(Construct):
    """Keeps the plan's metric at its target between the plan's bounds, and wakes what may sleep.

    SageMaker refuses to change the instance type of a variant that is registered here, and CloudFormation takes a
    registration away last: docs/scaling.md has the two deploys that it needs.
    """

    def __init__(
        self,
        scope: Construct,
        served: Served,
        scaling: Scaling,
        *,
        kind: Scalable,
        path: Sequence[str],
        label: str,
    ) -> None:
        """path: to what is scaled, as Application Auto Scaling has it; label: its name as metrics have it."""
        super().__init__(scope, "Scaling")
        metric = kind.metric(scaling.metric)
        if metric is None:
            raise TypeError(f"{scaling.metric} is no metric of {kind.unit}, which a checked plan has. This is a bug.")
        self._kind = kind
        self._label = label
        self.target = autoscaling.CfnScalableTarget(
            self,
            "Target",
            service_namespace="sagemaker",
            scalable_dimension=kind.dimension,
            resource_id=cdk.Fn.join("/", list(path)),
            min_capacity=scaling.min_instances,
            max_capacity=scaling.max_instances,
            scheduled_actions=_scheduled_actions(scaling) or None,
        )
        autoscaling.CfnScalingPolicy(
            self,
            "Policy",
            policy_name="target-tracking",
            policy_type="TargetTrackingScaling",
            scaling_target_id=self.target.ref,
            target_tracking_scaling_policy_configuration=self._target_tracking(scaling, metric),
        )
        if kind.waking and sleeps(scaling):
            self._wake(kind.waking, served.startup_timeout_s)

    def _target_tracking(
        self, scaling: Scaling, metric: Metric
    ) -> autoscaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty:
        properties = autoscaling.CfnScalingPolicy
        predefined = properties.PredefinedMetricSpecificationProperty(predefined_metric_type=metric.name)
        customized = properties.CustomizedMetricSpecificationProperty(
            namespace=NAMESPACE,
            metric_name=metric.name,
            dimensions=[properties.MetricDimensionProperty(name=self._kind.labelled_by, value=self._label)],
            statistic="Average",
        )
        return properties.TargetTrackingScalingPolicyConfigurationProperty(
            target_value=scaling.target,
            scale_in_cooldown=scaling.scale_in_cooldown_s,
            scale_out_cooldown=scaling.scale_out_cooldown_s,
            disable_scale_in=None if scaling.scale_in else True,
            predefined_metric_specification=predefined if metric.predefined else None,
            customized_metric_specification=None if metric.predefined else customized,
        )

    def _wake(self, waking: Waking, startup_timeout_s: int) -> None:
        properties = autoscaling.CfnScalingPolicy
        policy = autoscaling.CfnScalingPolicy(
            self,
            "Wake",
            policy_name="wake",
            policy_type="StepScaling",
            scaling_target_id=self.target.ref,
            step_scaling_policy_configuration=properties.StepScalingPolicyConfigurationProperty(
                adjustment_type="ChangeInCapacity",
                metric_aggregation_type="Maximum",
                # The alarm rings until the first one answers: no second while that may still be starting.
                cooldown=startup_timeout_s,
                step_adjustments=[
                    properties.StepAdjustmentProperty(metric_interval_lower_bound=0, scaling_adjustment=1)
                ],
            ),
        )
        cloudwatch.CfnAlarm(
            self,
            "Asleep",
            alarm_description="Requests come and nothing runs to answer them: starts the first. Nobody need act.",
            namespace=NAMESPACE,
            metric_name=waking.metric,
            dimensions=[cloudwatch.CfnAlarm.DimensionProperty(name=self._kind.labelled_by, value=self._label)],
            statistic=waking.statistic,
            # The shortest that such metrics have, and the first that rings: someone is waiting.
            period=60,
            evaluation_periods=1,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[policy.attr_arn],
        )


def _scheduled_actions(scaling: Scaling) -> list[autoscaling.CfnScalableTarget.ScheduledActionProperty]:
    return [
        autoscaling.CfnScalableTarget.ScheduledActionProperty(
            scheduled_action_name=bounds.name,
            schedule=bounds.schedule,
            timezone=bounds.timezone,
            scalable_target_action=autoscaling.CfnScalableTarget.ScalableTargetActionProperty(
                min_capacity=bounds.min_instances, max_capacity=bounds.max_instances
            ),
        )
        for bounds in scaling.schedule
    ]
