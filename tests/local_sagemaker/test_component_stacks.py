"""Stacks with an inference component: one that doesn't start is not left behind, and its name is for ever."""

from __future__ import annotations

from typing import Any

from .conftest import IMAGE, ROLE, LocalAws


def template(model_data: str, *, name: str = "held", copies: int = 1, **environment: str) -> dict[str, Any]:
    """An endpoint without a model of its own, named by its ARN, and a component that holds one."""
    variant = {
        "VariantName": "AllTraffic",
        "InstanceType": "ml.c7i.xlarge",
        "InitialInstanceCount": 1,
        "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2},
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    container = {"Image": IMAGE, "ModelDataUrl": model_data, "Environment": {"RERANK_THREADS": "1", **environment}}
    needs = {"MinMemoryRequiredInMb": 1024, "NumberOfCpuCoresRequired": 1}
    return {
        "Resources": {
            "Config": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {"ExecutionRoleArn": ROLE, "ProductionVariants": [variant]},
            },
            "Endpoint": {
                "Type": "AWS::SageMaker::Endpoint",
                "Properties": {
                    "EndpointName": "Holding",
                    "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
                },
            },
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {"ExecutionRoleArn": ROLE, "PrimaryContainer": container},
            },
            "Component": {
                "Type": "AWS::SageMaker::InferenceComponent",
                "Properties": {
                    "InferenceComponentName": name,
                    "EndpointArn": {"Ref": "Endpoint"},
                    "VariantName": "AllTraffic",
                    "Specification": {
                        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
                        "ComputeResourceRequirements": needs,
                    },
                    "RuntimeConfig": {"CopyCount": copies},
                },
            },
        },
        "Outputs": {"Status": {"Value": {"Fn::GetAtt": ["Component", "InferenceComponentStatus"]}}},
    }


def test_a_component_that_does_not_start_is_not_left_behind(local_aws: LocalAws, model_data: str) -> None:
    stack = local_aws.deploy("held", template(model_data, RERANK_TOKEN_BUDGET="none at all"))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "RERANK_TOKEN_BUDGET" in local_aws.reasons("held")
    sagemaker = local_aws.client("sagemaker")
    assert sagemaker.list_inference_components(NameContains="held")["InferenceComponents"] == []
    assert sagemaker.list_endpoints(NameContains="Holding")["Endpoints"] == []
    local_aws.delete("held")


def test_copies_change_in_place_and_the_name_does_not(local_aws: LocalAws, model_data: str) -> None:
    stack = local_aws.deploy("held", template(model_data))
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons("held")
    assert stack["Outputs"][0]["OutputValue"] == "InService"
    first = local_aws.physical_ids("held")
    assert first["Component"] == "arn:aws:sagemaker:us-east-1:123456789012:inference-component/held"
    sagemaker = local_aws.client("sagemaker")

    def copies() -> int:
        described = sagemaker.describe_inference_component(InferenceComponentName="held")
        return int(described["RuntimeConfig"]["DesiredCopyCount"])

    assert local_aws.deploy("held", template(model_data, copies=2), update=True)["StackStatus"] == "UPDATE_COMPLETE"
    assert copies() == 2
    stack = local_aws.deploy("held", template(model_data, name="other", copies=3), update=True)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", local_aws.reasons("held")
    assert "can't change InferenceComponentName" in local_aws.reasons("held")
    assert copies() == 2
    assert local_aws.physical_ids("held") == first
    local_aws.delete("held")
    assert sagemaker.list_inference_components(NameContains="held")["InferenceComponents"] == []
