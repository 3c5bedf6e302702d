"""A scaled variant keeps its instance type: a stack that would change it rolls back. docs/scaling.md has the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import LocalAws, endpoint_template

BODY = json.dumps({"query": "which one", "documents": ["this one", "another one"]}).encode()
TARGET = {
    "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
    "Properties": {
        "ServiceNamespace": "sagemaker",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "ResourceId": {
            "Fn::Join": ["/", ["endpoint", {"Fn::GetAtt": ["Endpoint", "EndpointName"]}, "variant/AllTraffic"]]
        },
        "MinCapacity": 1,
        "MaxCapacity": 4,
    },
}


def template(model_data: str, instance: str, *, scaled: bool) -> dict[str, Any]:
    made: dict[str, Any] = endpoint_template(model_data, name="scaled")
    made["Resources"]["Config"]["Properties"]["ProductionVariants"][0]["InstanceType"] = instance
    if scaled:
        made["Resources"]["Target"] = TARGET
    return made


@pytest.fixture(scope="module")
def scaled(local_aws: LocalAws, model_data: str) -> Iterator[str]:
    stack = local_aws.deploy("scaled", template(model_data, "ml.c7i.xlarge", scaled=True))
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons("scaled")
    yield "scaled"
    local_aws.delete("scaled")


def instance_type(local_aws: LocalAws, endpoint: str) -> str:
    sagemaker = local_aws.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    return str(variant["InstanceType"])


def targets(local_aws: LocalAws) -> list[str]:
    found = local_aws.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=["endpoint/scaled/variant/AllTraffic"]
    )
    return [target["ResourceId"] for target in found["ScalableTargets"]]


def test_the_type_of_a_scaled_variant_changes_in_two_deploys_and_not_in_one(
    local_aws: LocalAws, model_data: str, scaled: str
) -> None:
    stack = local_aws.deploy(scaled, template(model_data, "ml.c7i.2xlarge", scaled=True), update=True)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "registered as a scalable target" in local_aws.reasons(scaled)
    assert instance_type(local_aws, scaled) == "ml.c7i.xlarge"
    assert targets(local_aws) != []
    local_aws.client("sagemaker-runtime").invoke_endpoint(EndpointName=scaled, Body=BODY)

    # Both at once doesn't help either: CloudFormation takes away last what a template no longer has.
    stack = local_aws.deploy(scaled, template(model_data, "ml.c7i.2xlarge", scaled=False), update=True)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"

    for instance, is_scaled in (("ml.c7i.xlarge", False), ("ml.c7i.2xlarge", True)):
        stack = local_aws.deploy(scaled, template(model_data, instance, scaled=is_scaled), update=True)
        assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons(scaled)
    assert instance_type(local_aws, scaled) == "ml.c7i.2xlarge"
    assert targets(local_aws) != []


def test_another_model_or_count_is_no_other_type(local_aws: LocalAws, model_data: str, scaled: str) -> None:
    changed = template(model_data, instance_type(local_aws, scaled), scaled=True)
    changed["Resources"]["Model"]["Properties"]["PrimaryContainer"]["Environment"]["RERANK_TOKEN_BUDGET"] = "2048"
    stack = local_aws.deploy(scaled, changed, update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons(scaled)
