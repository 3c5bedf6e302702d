"""Target tracking of an endpoint's variant."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from rerank_toolkit.contracts.plan import Scaling

METRICS = ("SageMakerVariantInvocationsPerInstance", "SageMakerVariantConcurrentRequestsPerModelHighResolution")
"""Predefined metrics that SageMaker publishes for a realtime variant: invocations a minute and instance,
and requests in flight."""


class TargetTracking(Construct):
    """Keeps the metric at its target between the plan's bounds.

    SageMaker refuses to change the instance type of a variant that is registered for scaling: deploy the plan once
    without `scaling`, then with it again.
    """

    def __init__(self, scope: Construct, endpoint: sagemaker.CfnEndpoint, variant: str, scaling: Scaling) -> None:
        super().__init__(scope, "Scaling")
        target = autoscaling.CfnScalableTarget(
            self,
            "Target",
            service_namespace="sagemaker",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            # Named through the endpoint, so that it exists first and outlives the registration.
            resource_id=cdk.Fn.join("/", ["endpoint", endpoint.attr_endpoint_name, "variant", variant]),
            min_capacity=scaling.min_instances,
            max_capacity=scaling.max_instances,
        )
        tracking = autoscaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
            target_value=scaling.target,
            scale_in_cooldown=scaling.scale_in_cooldown_s,
            scale_out_cooldown=scaling.scale_out_cooldown_s,
            predefined_metric_specification=autoscaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty(
                predefined_metric_type=scaling.metric
            ),
        )
        autoscaling.CfnScalingPolicy(
            self,
            "Policy",
            policy_name="target-tracking",
            policy_type="TargetTrackingScaling",
            scaling_target_id=target.ref,
            target_tracking_scaling_policy_configuration=tracking,
        )
