"""Inference components: models on an endpoint that has none itself, down to no copy and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from rerank_toolkit.contracts.wire import decode_origin

from .conftest import IMAGE, ROLE, LocalAws
from .serving import (
    containers_of,
    eventually,
    invoke,
    make_config,
    make_endpoint,
    make_model,
    metric_sum,
    remove_endpoint,
    settled,
    variant,
)

HOST: dict[str, Any] = {
    "VariantName": "AllTraffic",
    "InstanceType": "ml.c7i.xlarge",
    "InitialInstanceCount": 1,
    "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2},
    "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
}
NEEDS = {"NumberOfCpuCoresRequired": 1, "MinMemoryRequiredInMb": 1024}


@pytest.fixture(scope="module")
def host(local_aws: LocalAws) -> Iterator[str]:
    make_config(local_aws, "host", HOST, ExecutionRoleArn=ROLE)
    endpoint = make_endpoint(local_aws, "host", "host")
    (only,) = endpoint["ProductionVariants"]
    assert only["ManagedInstanceScaling"]["MinInstanceCount"] == 0
    assert only["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    assert "DeployedImages" not in only
    yield "host"
    remove_endpoint(local_aws, "host")


def settled_component(local_aws: LocalAws, name: str) -> dict[str, Any]:
    describe = local_aws.client("sagemaker").describe_inference_component

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = describe(InferenceComponentName=name)
        return found if found["InferenceComponentStatus"] not in ("Creating", "Updating") else None

    return eventually(look)


def make_component(local_aws: LocalAws, name: str, model: str) -> dict[str, Any]:
    local_aws.client("sagemaker").create_inference_component(
        InferenceComponentName=name,
        EndpointName="host",
        VariantName="AllTraffic",
        Specification={"ModelName": model, "ComputeResourceRequirements": NEEDS},
        RuntimeConfig={"CopyCount": 1},
    )
    component = settled_component(local_aws, name)
    assert component["InferenceComponentStatus"] == "InService", component.get("FailureReason")
    return component


def remove_component(local_aws: LocalAws, name: str) -> None:
    sagemaker = local_aws.client("sagemaker")
    sagemaker.delete_inference_component(InferenceComponentName=name)
    eventually(lambda: not sagemaker.list_inference_components(NameContains=name)["InferenceComponents"])


def test_the_life_of_a_component(local_aws: LocalAws, host: str, model_data: str) -> None:
    sagemaker = local_aws.client("sagemaker")
    component = make_component(local_aws, "placed", make_model(local_aws, "placed-1", model_data))
    assert component["RuntimeConfig"] == {"DesiredCopyCount": 1, "CurrentCopyCount": 1}
    assert component["Specification"]["ModelName"] == "placed-1"
    assert "@sha256:" in component["Specification"]["Container"]["DeployedImage"]["ResolvedImage"]
    answer = invoke(local_aws, host, InferenceComponentName="placed")
    assert "InvokedProductionVariant" not in answer
    place = {"InferenceComponentName": "placed"}
    eventually(lambda: metric_sum(local_aws, "InvocationsPerCopy", **place) == 1)
    with pytest.raises(ClientError, match="Inference Component Name header is required"):
        invoke(local_aws, host)
    with pytest.raises(ClientError, match="elsewhere not found on endpoint host"):
        invoke(local_aws, host, InferenceComponentName="elsewhere")
    with pytest.raises(ClientError, match="hosts inference components: placed"):
        sagemaker.delete_endpoint(EndpointName=host)

    # No copy, no answer; and a copy again.
    for copies in (0, 2):
        sagemaker.update_inference_component_runtime_config(
            InferenceComponentName="placed", DesiredRuntimeConfig={"CopyCount": copies}
        )
        runtime = settled_component(local_aws, "placed")["RuntimeConfig"]
        assert runtime == {"DesiredCopyCount": copies, "CurrentCopyCount": copies}
        assert ("placed" in containers_of(local_aws, host)) is bool(copies)
        if not copies:
            with pytest.raises(ClientError, match="has no capacity to process this request") as raised:
                invoke(local_aws, host, InferenceComponentName="placed")
            assert raised.value.response["Error"]["Code"] == "ValidationError"
            eventually(lambda: metric_sum(local_aws, "NoCapacityInvocationFailures", **place) == 1)
    invoke(local_aws, host, InferenceComponentName="placed")

    # Another model, and one that does not start.
    make_model(local_aws, "placed-2", model_data, RERANK_TOKEN_BUDGET="200")
    make_model(local_aws, "placed-3", model_data, RERANK_TOKEN_BUDGET="none at all")
    for model, why in (("placed-2", None), ("placed-3", "RERANK_TOKEN_BUDGET")):
        sagemaker.update_inference_component(
            InferenceComponentName="placed",
            Specification={"ModelName": model, "ComputeResourceRequirements": NEEDS},
            DeploymentConfig={
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                    "WaitIntervalInSeconds": 0,
                }
            },
        )
        component = settled_component(local_aws, "placed")
        assert component["InferenceComponentStatus"] == "InService"
        assert component["Specification"]["ModelName"] == "placed-2"
        assert (why or "") in component.get("FailureReason", "")
        origin = decode_origin(invoke(local_aws, host, InferenceComponentName="placed")["CustomAttributes"])
        assert origin is not None
        assert origin.token_budget == 200

    psutil.Process(containers_of(local_aws, host)["placed"]).kill()
    eventually(
        lambda: (
            sagemaker.describe_inference_component(InferenceComponentName="placed")["InferenceComponentStatus"]
            == "Failed"
        )
    )
    with pytest.raises(ClientError, match="Failed, not InService"):
        invoke(local_aws, host, InferenceComponentName="placed")
    assert settled(local_aws, host)["EndpointStatus"] == "InService"
    remove_component(local_aws, "placed")


def test_a_component_may_bring_its_container_and_wakes_by_a_step_policy(
    local_aws: LocalAws, host: str, model_data: str
) -> None:
    sagemaker = local_aws.client("sagemaker")
    sagemaker.create_inference_component(
        InferenceComponentName="waking",
        EndpointName=host,
        Specification={
            "Container": {"Image": IMAGE, "ArtifactUrl": model_data, "Environment": {"RERANK_THREADS": "1"}},
            "ComputeResourceRequirements": NEEDS,
        },
        RuntimeConfig={"CopyCount": 1},
    )
    component = settled_component(local_aws, "waking")
    assert component["InferenceComponentStatus"] == "InService", component.get("FailureReason")
    assert component["VariantName"] == "AllTraffic"
    assert component["Specification"]["Container"]["ArtifactUrl"] == model_data
    scale = {"InferenceComponentName": "waking", "DesiredRuntimeConfig": {"CopyCount": 0}}
    sagemaker.update_inference_component_runtime_config(**scale)
    settled_component(local_aws, "waking")

    scaling = local_aws.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "inference-component/waking",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=1)
    policy = scaling.put_scaling_policy(
        **target,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 5}],
        },
    )["PolicyARN"]
    local_aws.client("cloudwatch").put_metric_alarm(
        AlarmName="waking",
        AlarmActions=[policy],
        Namespace="AWS/SageMaker",
        MetricName="NoCapacityInvocationFailures",
        Dimensions=[{"Name": "InferenceComponentName", "Value": "waking"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )

    def answered() -> bool:
        try:
            invoke(local_aws, host, InferenceComponentName="waking")
        except ClientError as error:
            assert "has no capacity" in str(error)
            return False
        return True

    eventually(answered)
    assert settled_component(local_aws, "waking")["RuntimeConfig"]["CurrentCopyCount"] == 1, "within its bounds"
    (activity,) = scaling.describe_scaling_activities(**target)["ScalingActivities"]
    assert activity["StatusCode"] == "Successful"
    assert activity["Cause"] == "alarm waking in state ALARM triggered policy wake"
    assert activity["StatusMessage"] == "Successfully set desired capacity to 1, from 0."
    remove_component(local_aws, "waking")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"RuntimeConfig": {"CopyCount": 0}}, "copyCount must be at least 1"),
        ({"VariantName": "Other"}, "Other is no variant of host; it has AllTraffic"),
        ({"EndpointName": "nowhere"}, "Could not find endpoint"),
        ({"Specification": {"ComputeResourceRequirements": NEEDS}}, "either modelName or a container"),
        ({"Specification": {"ModelName": "no-such"}}, "computeResourceRequirements must be given"),
    ],
)
def test_a_component_that_cannot_be_is_refused(
    local_aws: LocalAws, host: str, change: dict[str, Any], said: str
) -> None:
    request = {
        "InferenceComponentName": "refused",
        "EndpointName": host,
        "VariantName": "AllTraffic",
        "Specification": {"ModelName": "no-such", "ComputeResourceRequirements": NEEDS},
        "RuntimeConfig": {"CopyCount": 1},
    }
    with pytest.raises(ClientError, match=said):
        local_aws.client("sagemaker").create_inference_component(**{**request, **change})


@pytest.mark.parametrize(
    ("variants", "more", "said"),
    [
        ([HOST], {}, "executionRoleArn must be set"),
        ([HOST, variant("any", "Other")], {"ExecutionRoleArn": ROLE}, "either every variant has modelName, or none"),
        ([{**HOST, "ModelName": "any"}], {}, "only supported for inference component endpoints"),
    ],
)
def test_a_host_that_cannot_be_is_refused(
    local_aws: LocalAws, variants: list[dict[str, Any]], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        make_config(local_aws, "refused-host", *variants, **more)
