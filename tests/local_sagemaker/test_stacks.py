"""Stacks of small resources: order, replacement, events, outputs and exports, as stock boto3 sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import LocalAws
from .resources import parameter, topic


def test_resources_are_made_in_the_order_of_their_references_each_with_its_events(local_aws: LocalAws) -> None:
    template = {
        "Resources": {
            "Last": parameter({"Fn::Sub": "after ${Middle}"}),
            "Middle": parameter({"Ref": "First"}),
            "First": topic(DisplayName="first"),
            "Waiting": {**parameter("waits"), "DependsOn": ["Last"]},
        }
    }
    assert local_aws.deploy("ordered", template)["StackStatus"] == "CREATE_COMPLETE"
    made = [name for name, status in local_aws.events("ordered") if status == "CREATE_COMPLETE"]
    assert made == ["First", "Middle", "Last", "Waiting", "ordered"]
    assert ("Middle", "CREATE_IN_PROGRESS") in local_aws.events("ordered")
    times = [
        event["Timestamp"]
        for event in local_aws.client("cloudformation").describe_stack_events(StackName="ordered")["StackEvents"]
    ]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == len(times)
    local_aws.delete("ordered")


def test_intrinsics_parameters_conditions_and_outputs(local_aws: LocalAws) -> None:
    template = {
        "Parameters": {
            "Stage": {"Type": "String", "Default": "test", "AllowedValues": ["test", "live"]},
            "BootstrapVersion": {
                "Type": "AWS::SSM::Parameter::Value<String>",
                "Default": "/cdk-bootstrap/hnb659fds/version",
            },
            "Zones": {"Type": "CommaDelimitedList", "Default": "a, b, c"},
        },
        "Mappings": {"Sizes": {"test": {"size": "small"}, "live": {"size": "large"}}},
        "Conditions": {"Live": {"Fn::Equals": [{"Ref": "Stage"}, "live"]}, "Not": {"Fn::Not": [{"Condition": "Live"}]}},
        "Rules": {
            "CheckBootstrapVersion": {
                "Assertions": [
                    {"Assert": {"Fn::Not": [{"Fn::Contains": [["1", "2", "3"], {"Ref": "BootstrapVersion"}]}]}}
                ]
            }
        },
        "Resources": {
            "Kept": {"Condition": "Not", **parameter({"Fn::If": ["Live", "no", {"Ref": "AWS::Region"}]})},
            "Dropped": {"Condition": "Live", **parameter("never")},
        },
        "Outputs": {
            "Joined": {
                "Value": {"Fn::Join": ["-", [{"Fn::Select": ["1", {"Ref": "Zones"}]}, {"Ref": "AWS::AccountId"}]]}
            },
            "Size": {"Value": {"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "size"]}},
            "Split": {"Value": {"Fn::Select": [2, {"Fn::Split": ["/", "a/b/c"]}]}},
            "Encoded": {"Value": {"Fn::Base64": "text"}},
            "Value": {"Value": {"Fn::GetAtt": "Kept.Value"}, "Description": "What stands in it"},
            "Literal": {"Value": {"Fn::Sub": ["${!kept} ${given}", {"given": {"Ref": "Stage"}}]}},
            "Never": {"Condition": "Live", "Value": "never"},
        },
    }
    stack = local_aws.deploy("functions", template)
    assert {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]} == {
        "Joined": "b-123456789012",
        "Size": "small",
        "Split": "c",
        "Encoded": "dGV4dA==",
        "Value": "us-east-1",
        "Literal": "${kept} test",
    }
    assert list(local_aws.physical_ids("functions")) == ["Kept"]
    local_aws.delete("functions")


def test_yaml_with_short_forms_is_the_same_template(local_aws: LocalAws) -> None:
    cloudformation = local_aws.client("cloudformation")
    text = "Resources: {T: {Type: AWS::SNS::Topic}}\nOutputs: {Name: {Value: !Sub '${T.TopicName}.${AWS::Region}'}}\n"
    cloudformation.create_stack(StackName="yaml", TemplateBody=text)
    (output,) = local_aws.settled("yaml")["Outputs"]
    assert output["OutputValue"].startswith("yaml-T-")
    assert output["OutputValue"].endswith(".us-east-1")
    assert cloudformation.get_template(StackName="yaml")["TemplateBody"] == text
    local_aws.delete("yaml")


def test_an_update_changes_in_place_what_it_can_and_replaces_the_rest(local_aws: LocalAws) -> None:
    def template(display: str, name: str, value: str) -> dict[str, Any]:
        return {
            "Resources": {
                "InPlace": topic(DisplayName=display),
                "Replaced": parameter(value, Name=name),
                "Following": parameter({"Ref": "Replaced"}),
                **({"Leaving": topic()} if value == "old" else {"Arriving": topic()}),
            }
        }

    local_aws.deploy("changing", template("one", "/changing/one", "old"))
    first = local_aws.physical_ids("changing")
    local_aws.deploy("changing", template("two", "/changing/two", "new"), update=True)
    second = local_aws.physical_ids("changing")

    assert second["InPlace"] == first["InPlace"]
    attributes = local_aws.client("sns").get_topic_attributes(TopicArn=second["InPlace"])["Attributes"]
    assert attributes["DisplayName"] == "two"
    assert (first["Replaced"], second["Replaced"]) == ("/changing/one", "/changing/two")
    ssm = local_aws.client("ssm")
    assert ssm.get_parameter(Name=second["Following"])["Parameter"]["Value"] == "/changing/two"
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="/changing/one")
    assert set(second) == {"InPlace", "Replaced", "Following", "Arriving"}
    events = local_aws.events("changing")
    assert events.index(("changing", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")) < events.index(
        ("Leaving", "DELETE_COMPLETE")
    )
    local_aws.delete("changing")


def test_a_change_set_tells_what_will_change_and_an_empty_one_says_so(local_aws: LocalAws) -> None:
    cloudformation = local_aws.client("cloudformation")
    old = {"Resources": {"Kept": topic(), "Changed": parameter("one"), "Renamed": parameter("x", Name="/cs/one")}}
    new = {
        "Resources": {
            "Kept": topic(),
            "Changed": parameter("two"),
            "Renamed": parameter("x", Name="/cs/two"),
            "Added": parameter({"Ref": "Renamed"}),
        }
    }
    local_aws.deploy("planned", old)

    def plan(template: dict[str, Any]) -> dict[str, Any]:
        cloudformation.create_change_set(
            StackName="planned", ChangeSetName="plan", ChangeSetType="UPDATE", TemplateBody=json.dumps(template)
        )
        answer: dict[str, Any] = cloudformation.describe_change_set(StackName="planned", ChangeSetName="plan")
        return answer

    empty = plan(old)
    assert empty["Status"] == "FAILED"
    assert "didn't contain changes" in empty["StatusReason"]
    cloudformation.delete_change_set(StackName="planned", ChangeSetName="plan")

    changes = {
        change["ResourceChange"]["LogicalResourceId"]: (
            change["ResourceChange"]["Action"],
            change["ResourceChange"].get("Replacement"),
        )
        for change in plan(new)["Changes"]
    }
    assert changes == {"Changed": ("Modify", "False"), "Renamed": ("Modify", "True"), "Added": ("Add", None)}
    assert cloudformation.get_template(StackName="planned")["TemplateBody"] == old, "nothing has happened yet"
    cloudformation.execute_change_set(StackName="planned", ChangeSetName="plan")
    assert local_aws.settled("planned")["StackStatus"] == "UPDATE_COMPLETE"
    with pytest.raises(ClientError, match="does not exist") as raised:
        cloudformation.describe_change_set(StackName="planned", ChangeSetName="plan")
    assert raised.value.response["Error"]["Code"] == "ChangeSetNotFound"
    local_aws.delete("planned")


def test_exports_are_imported_and_kept_while_they_are(local_aws: LocalAws) -> None:
    giving = {
        "Resources": {"T": topic()},
        "Outputs": {"Arn": {"Value": {"Ref": "T"}, "Export": {"Name": "shared-arn"}}},
    }
    taking = {"Resources": {"P": parameter({"Fn::ImportValue": "shared-arn"})}}
    arn = local_aws.deploy("giving", giving)["Outputs"][0]["OutputValue"]
    local_aws.deploy("taking", taking)
    assert local_aws.client("cloudformation").list_imports(ExportName="shared-arn")["Imports"] == ["taking"]
    value = local_aws.client("ssm").get_parameter(Name=local_aws.physical_ids("taking")["P"])["Parameter"]["Value"]
    assert value == arn
    with pytest.raises(ClientError, match="in use by taking"):
        local_aws.client("cloudformation").delete_stack(StackName="giving")
    local_aws.delete("taking")
    local_aws.delete("giving")


def test_what_is_to_be_retained_stays(local_aws: LocalAws) -> None:
    local_aws.deploy(
        "retaining", {"Resources": {"P": {**parameter("kept", Name="/retained"), "DeletionPolicy": "Retain"}}}
    )
    stack_id = local_aws.client("cloudformation").describe_stacks(StackName="retaining")["Stacks"][0]["StackId"]
    local_aws.delete("retaining")
    assert ("P", "DELETE_SKIPPED") in local_aws.events(stack_id)
    assert local_aws.client("ssm").get_parameter(Name="/retained")["Parameter"]["Value"] == "kept"


def test_a_type_that_nobody_implements_is_recorded_and_told(local_aws: LocalAws) -> None:
    template = {
        "Resources": {
            "Exotic": {"Type": "AWS::QuantumLedger::Dial", "Properties": {"Turns": 3}},
            "T": topic(DisplayName={"Fn::GetAtt": ["Exotic", "Arn"]}),
        }
    }
    assert local_aws.deploy("exotic", template)["StackStatus"] == "CREATE_COMPLETE"
    assert "recorded, nothing was made" in local_aws.reasons("exotic")
    local_aws.delete("exotic")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"Resources": {}}, "At least one Resources member"),
        ({"Resources": {"A": {"Properties": {}}}}, "must contain a Type"),
        ({"Resources": {"A": parameter({"Ref": "Missing"})}}, r"Unresolved resource dependencies \[Missing\]"),
        (
            {"Resources": {"A": parameter({"Ref": "B"}), "B": parameter({"Ref": "A"})}},
            "Circular dependency between resources",
        ),
        ({"Parameters": {"P": {"Type": "String"}}, "Resources": {"A": topic()}}, r"\[P\] must have values"),
    ],
)
def test_a_template_at_fault_is_refused_before_anything_is_made(local_aws: LocalAws, template: Any, said: str) -> None:
    with pytest.raises(ClientError, match=said) as raised:
        local_aws.deploy("refused", template)
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="does not exist"):
        local_aws.client("cloudformation").describe_stacks(StackName="refused")


def test_a_request_for_another_region_says_how_to_get_there(local_aws: LocalAws) -> None:
    import boto3

    far = boto3.client(
        "cloudformation",
        endpoint_url=local_aws.document["endpoint_url"],
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    with pytest.raises(ClientError, match="rerank local up --region eu-west-1"):
        far.describe_stacks()
