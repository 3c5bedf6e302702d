"""Scaling as templates write it: SageMaker's dimensions, steps, schedules."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import LocalAws


def template(
    name: str, resource: str, dimension: str, *schedule: str, floor: int = 0, adjust: int = 1
) -> dict[str, Any]:
    """A target that is tracked and also scaled from nothing by an alarm, on the days in `schedule`."""
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": resource,
        "ScalableDimension": dimension,
        "MinCapacity": floor,
        "MaxCapacity": 4,
        "ScheduledActions": [
            {
                "ScheduledActionName": day,
                "Schedule": f"cron(0 8 ? * {day} *)",
                "Timezone": "Europe/Berlin",
                "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 4},
            }
            for day in schedule
        ],
    }
    tracking = {
        "TargetValue": 5,
        "ScaleInCooldown": 600,
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": name}],
            "Statistic": "Average",
        },
    }
    steps = {
        "AdjustmentType": "ChangeInCapacity",
        "MetricAggregationType": "Average",
        "Cooldown": 300,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": adjust}],
    }
    scaled = {"ScalingTargetId": {"Ref": "Target"}}
    return {
        "Resources": {
            "Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": target},
            "Tracking": {
                "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                "Properties": {
                    **scaled,
                    "PolicyName": "tracking",
                    "PolicyType": "TargetTrackingScaling",
                    "TargetTrackingScalingPolicyConfiguration": tracking,
                },
            },
            "FromNothing": {
                "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                "Properties": {
                    **scaled,
                    "PolicyName": "from-nothing",
                    "PolicyType": "StepScaling",
                    "StepScalingPolicyConfiguration": steps,
                },
            },
            "Waiting": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {
                    "AlarmName": f"{name}-waiting",
                    "Namespace": "AWS/SageMaker",
                    "MetricName": "HasBacklogWithoutCapacity",
                    "Dimensions": [{"Name": "EndpointName", "Value": name}],
                    "Statistic": "Average",
                    "Period": 60,
                    "EvaluationPeriods": 2,
                    "Threshold": 1,
                    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                    "AlarmActions": [{"Ref": "FromNothing"}],
                },
            },
        }
    }


@pytest.mark.parametrize(
    ("name", "resource", "dimension"),
    [
        ("queue", "endpoint/queue/variant/AllTraffic", "sagemaker:variant:DesiredInstanceCount"),
        ("warm", "endpoint/warm/variant/AllTraffic", "sagemaker:variant:DesiredProvisionedConcurrency"),
        ("copies", "inference-component/copies", "sagemaker:inference-component:DesiredCopyCount"),
    ],
)
def test_each_dimension_is_tracked_stepped_and_scheduled(
    local_aws: LocalAws, name: str, resource: str, dimension: str
) -> None:
    scaling, cloudwatch = local_aws.client("application-autoscaling"), local_aws.client("cloudwatch")
    here: dict[str, Any] = {"ServiceNamespace": "sagemaker", "ScalableDimension": dimension}

    stack = local_aws.deploy(name, template(name, resource, dimension, "MON", "TUE"))
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons(name)
    first = local_aws.physical_ids(name)
    stack = local_aws.deploy(name, template(name, resource, dimension, "TUE", "WED", floor=1, adjust=2), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons(name)
    assert local_aws.physical_ids(name) == first

    (target,) = scaling.describe_scalable_targets(**here, ResourceIds=[resource])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    policies = scaling.describe_scaling_policies(**here, ResourceId=resource)["ScalingPolicies"]
    stepped = next(policy for policy in policies if policy["PolicyType"] == "StepScaling")
    assert stepped["StepScalingPolicyConfiguration"]["StepAdjustments"][0]["ScalingAdjustment"] == 2
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[f"{name}-waiting"])["MetricAlarms"]
    assert alarm["AlarmActions"] == [stepped["PolicyARN"]], "the changed policy is still the one that the alarm names"
    scheduled = scaling.describe_scheduled_actions(**here, ResourceId=resource)["ScheduledActions"]
    assert sorted(action["ScheduledActionName"] for action in scheduled) == ["TUE", "WED"]

    local_aws.delete(name)
    assert scaling.describe_scheduled_actions(**here, ResourceId=resource)["ScheduledActions"] == []
    assert scaling.describe_scaling_policies(**here, ResourceId=resource)["ScalingPolicies"] == []
    assert scaling.describe_scalable_targets(**here, ResourceIds=[resource])["ScalableTargets"] == []
