"""Stacks of small resources: order, replacement, rollback, events, outputs and exports, as stock boto3 sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import LocalAws


def parameter(value: Any, **more: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value, **more}}


def topic(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SNS::Topic", "Properties": properties}


def bucket(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **properties}}


def role(**properties: Any) -> dict[str, Any]:
    trusted = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [trusted]}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust, **properties}}


UNDELETABLE = {"Type": "AWS::KMS::Key", "Properties": {"PendingWindowInDays": 0}}
IMPOSSIBLE = {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": "alias/of-nothing", "TargetKeyId": "no-such-key"}}


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


def test_a_failed_create_is_rolled_back_and_told(local_aws: LocalAws) -> None:
    template = {
        "Resources": {
            "Good": topic(),
            "Bad": {**IMPOSSIBLE, "DependsOn": "Good"},
            "After": {**topic(), "DependsOn": "Bad"},
        }
    }
    stack = local_aws.deploy("doomed", template)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = local_aws.events("doomed")
    assert ("Bad", "CREATE_FAILED") in events
    assert ("Good", "DELETE_COMPLETE") in events
    assert "After" not in [name for name, _ in events], "nothing is tried after a failure"
    assert "[Bad]" in local_aws.reasons("doomed")
    topics = local_aws.client("sns").list_topics()["Topics"]
    assert not [found for found in topics if "doomed" in found["TopicArn"]]
    local_aws.delete("doomed")


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


def test_a_failed_update_restores_what_was_changed_replaced_and_added(local_aws: LocalAws) -> None:
    def template(word: str, *bad: str) -> dict[str, Any]:
        return {
            "Resources": {
                "InPlace": topic(DisplayName=word),
                "Replaced": parameter(word, Name=f"/restored/{word}"),
                **({"Added": topic()} if bad else {}),
                **{name: {**IMPOSSIBLE, "DependsOn": ["InPlace", "Replaced", "Added"]} for name in bad},
            },
            "Outputs": {"Word": {"Value": {"Fn::GetAtt": ["Replaced", "Value"]}}},
        }

    local_aws.deploy("restored", template("before"))
    first = local_aws.physical_ids("restored")
    stack = local_aws.deploy("restored", template("after", "Bad"), update=True)

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stack["Outputs"][0]["OutputValue"] == "before"
    assert local_aws.physical_ids("restored") == first
    attributes = local_aws.client("sns").get_topic_attributes(TopicArn=first["InPlace"])["Attributes"]
    assert attributes["DisplayName"] == "before"
    ssm = local_aws.client("ssm")
    assert ssm.get_parameter(Name="/restored/before")["Parameter"]["Value"] == "before"
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="/restored/after")
    assert ("Added", "DELETE_COMPLETE") in local_aws.events("restored")

    assert local_aws.deploy("restored", template("after"), update=True)["StackStatus"] == "UPDATE_COMPLETE"
    local_aws.delete("restored")


def test_without_rollback_a_failed_update_stays_until_the_next_one_mends_it(local_aws: LocalAws) -> None:
    cloudformation, ssm = local_aws.client("cloudformation"), local_aws.client("ssm")

    def template(word: str, **more: Any) -> str:
        return json.dumps({"Resources": {"P": parameter(word, Name=f"/stays/{word}"), **more}})

    cloudformation.create_stack(StackName="stays", TemplateBody=template("one"))
    local_aws.settled("stays")
    broken = template("two", Bad={**IMPOSSIBLE, "DependsOn": "P"})
    cloudformation.update_stack(StackName="stays", TemplateBody=broken, DisableRollback=True)
    assert local_aws.settled("stays")["StackStatus"] == "UPDATE_FAILED"
    assert ssm.get_parameter(Name="/stays/one")["Parameter"]["Value"] == "one", "nothing is deleted before all is well"

    cloudformation.update_stack(StackName="stays", TemplateBody=template("two"))
    assert local_aws.settled("stays")["StackStatus"] == "UPDATE_COMPLETE"
    assert local_aws.physical_ids("stays") == {"P": "/stays/two"}
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="/stays/one")
    local_aws.delete("stays")


def test_what_a_rollback_cannot_delete_stays_the_stacks_and_is_never_called_deleted(local_aws: LocalAws) -> None:
    bad = {"Key": UNDELETABLE, "Bad": {**IMPOSSIBLE, "DependsOn": "Key"}}
    assert local_aws.deploy("stuck", {"Resources": bad})["StackStatus"] == "ROLLBACK_FAILED"
    (key,) = local_aws.client("cloudformation").list_stack_resources(StackName="stuck")["StackResourceSummaries"]
    assert (key["LogicalResourceId"], key["ResourceStatus"]) == ("Key", "DELETE_FAILED")

    good = {"Resources": {"T": topic()}}
    local_aws.deploy("stuck-later", good)
    stack = local_aws.deploy("stuck-later", {"Resources": {"T": topic(), **bad}}, update=True)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED"

    for name in ("stuck", "stuck-later"):
        local_aws.client("cloudformation").delete_stack(StackName=name)
        stack = local_aws.settled(name)
        assert stack["StackStatus"] == "DELETE_FAILED"
        assert "[Key]" in stack["StackStatusReason"]


def test_a_rollback_takes_back_what_a_failed_change_in_place_has_done_in_part(local_aws: LocalAws) -> None:
    allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [allowed]}

    def template(policy: str, *managed: str) -> dict[str, Any]:
        policies = [{"PolicyName": policy, "PolicyDocument": document}]
        tags = [{"Key": policy, "Value": "x"}]
        return {"Resources": {"Role": role(Policies=policies, ManagedPolicyArns=list(managed), Tags=tags)}}

    local_aws.deploy("half", template("before"))
    failing = template("after", "arn:aws:iam::aws:policy/no-such-policy")
    stack = local_aws.deploy("half", failing, update=True)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", local_aws.reasons("half")
    name, iam = local_aws.physical_ids("half")["Role"], local_aws.client("iam")
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["before"]
    assert [tag["Key"] for tag in iam.list_role_tags(RoleName=name)["Tags"]] == ["before"]
    local_aws.delete("half")


def test_without_rollback_a_replacement_that_failed_is_made_anew_and_the_old_one_goes(local_aws: LocalAws) -> None:
    cloudformation, s3 = local_aws.client("cloudformation"), local_aws.client("s3")

    def update(template: dict[str, Any]) -> str:
        cloudformation.update_stack(StackName="anew", TemplateBody=json.dumps(template), DisableRollback=True)
        return str(local_aws.settled("anew")["StackStatus"])

    def buckets() -> list[str]:
        return [found["Name"] for found in s3.list_buckets()["Buckets"] if found["Name"].startswith("anew-")]

    local_aws.deploy("anew", {"Resources": {"B": bucket("anew-one")}})
    failing = {"Resources": {"B": bucket("anew-two", NoSuchProperty=1)}}
    assert update(failing) == "UPDATE_FAILED"
    assert update(failing) == "UPDATE_FAILED", "what failed is not complete the second time"
    assert update({"Resources": {"B": bucket("anew-two")}}) == "UPDATE_COMPLETE", local_aws.reasons("anew")
    assert buckets() == ["anew-two"]
    local_aws.delete("anew")
    assert buckets() == []


def test_a_create_that_failed_without_rollback_goes_on_by_update(local_aws: LocalAws) -> None:
    cloudformation = local_aws.client("cloudformation")
    failing = {"Resources": {"T": topic(), "B": {**bucket("goes-on", NoSuchProperty=1), "DependsOn": "T"}}}
    cloudformation.create_stack(StackName="goes-on", TemplateBody=json.dumps(failing), OnFailure="DO_NOTHING")
    assert local_aws.settled("goes-on")["StackStatus"] == "CREATE_FAILED"
    first = local_aws.physical_ids("goes-on")["T"]
    assert local_aws.deploy("goes-on", failing, update=True)["StackStatus"] == "UPDATE_FAILED"
    mended = {"Resources": {"T": topic(), "B": bucket("goes-on")}}
    assert local_aws.deploy("goes-on", mended, update=True)["StackStatus"] == "UPDATE_COMPLETE"
    assert local_aws.physical_ids("goes-on") == {"T": first, "B": "goes-on"}
    local_aws.delete("goes-on")

    with pytest.raises(ClientError, match="no OnFailure=DELETE"):
        cloudformation.create_stack(StackName="goes-on", TemplateBody=json.dumps(mended), OnFailure="DELETE")


def test_changed_tags_are_changed_where_they_are(local_aws: LocalAws) -> None:
    def template(*keys: str) -> dict[str, Any]:
        tags = [{"Key": key, "Value": "of-tagged"} for key in keys]
        alarm = {
            "MetricName": "Invocations",
            "Namespace": "AWS/SageMaker",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        return {
            "Resources": {
                "Topic": topic(Tags=tags),
                "Parameter": parameter("x", Name="/tagged", Tags=dict.fromkeys(keys, "of-tagged")),
                "Bucket": bucket("tagged", Tags=tags),
                "Role": role(Tags=tags),
                "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/tagged", "Tags": tags}},
                "Key": {"Type": "AWS::KMS::Key", "Properties": {"Tags": tags}},
                "Repository": {"Type": "AWS::ECR::Repository", "Properties": {"Tags": tags}},
                "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {**alarm, "Tags": tags}},
            },
            "Outputs": {
                "Repository": {"Value": {"Fn::GetAtt": "Repository.Arn"}},
                "Alarm": {"Value": {"Fn::GetAtt": "Alarm.Arn"}},
            },
        }

    local_aws.deploy("tagged", template("stays", "goes"))
    stack = local_aws.deploy("tagged", template("stays", "comes"), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("tagged")
    ids, client = local_aws.physical_ids("tagged"), local_aws.client
    arn = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    log = f"arn:aws:logs:us-east-1:123456789012:log-group:{ids['Log']}"
    found = {
        "Topic": client("sns").list_tags_for_resource(ResourceArn=ids["Topic"])["Tags"],
        "Parameter": client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId="/tagged")["TagList"],
        "Bucket": client("s3").get_bucket_tagging(Bucket="tagged")["TagSet"],
        "Role": client("iam").list_role_tags(RoleName=ids["Role"])["Tags"],
        "Log": client("logs").list_tags_for_resource(resourceArn=log)["tags"],
        "Key": client("kms").list_resource_tags(KeyId=ids["Key"])["Tags"],
        "Repository": client("ecr").list_tags_for_resource(resourceArn=arn["Repository"])["tags"],
        "Alarm": client("cloudwatch").list_tags_for_resource(ResourceARN=arn["Alarm"])["Tags"],
    }
    keys = {
        name: sorted(tags) if isinstance(tags, dict) else sorted(tag.get("Key") or tag["TagKey"] for tag in tags)
        for name, tags in found.items()
    }
    assert keys == {name: ["comes", "stays"] for name in found}
    local_aws.delete("tagged")


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


def test_what_is_to_be_retained_stays_when_its_creation_is_rolled_back_except_if_told(local_aws: LocalAws) -> None:
    template = {
        "Resources": {
            "Kept": {**parameter("kept", Name="/rolled-back/kept"), "DeletionPolicy": "Retain"},
            "Gone": {**parameter("gone", Name="/rolled-back/gone"), "DeletionPolicy": "RetainExceptOnCreate"},
            "Bad": {**IMPOSSIBLE, "DependsOn": ["Kept", "Gone"]},
        }
    }
    assert local_aws.deploy("rolled-back", template)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert ("Kept", "DELETE_SKIPPED") in local_aws.events("rolled-back")
    parameters = local_aws.client("ssm").get_parameters_by_path(Path="/rolled-back")["Parameters"]
    assert [found["Name"] for found in parameters] == ["/rolled-back/kept"]
    assert local_aws.physical_ids("rolled-back") == {}
    local_aws.delete("rolled-back")


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


def test_the_resources_that_infra_writes_are_made_changed_and_deleted(local_aws: LocalAws) -> None:
    def template(word: str, number: str) -> dict[str, Any]:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": f"s3:{word}", "Resource": "*"}],
        }
        dimension = "sagemaker:variant:DesiredInstanceCount"
        return {
            "Resources": {
                "Key": {"Type": "AWS::KMS::Key", "Properties": {"Description": word, "EnableKeyRotation": True}},
                "Alias": {
                    "Type": "AWS::KMS::Alias",
                    "Properties": {"AliasName": "alias/rooms", "TargetKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
                },
                "Bucket": {
                    "Type": "AWS::S3::Bucket",
                    "Properties": {
                        "BucketEncryption": {
                            "ServerSideEncryptionConfiguration": [
                                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                            ]
                        },
                        "PublicAccessBlockConfiguration": {"BlockPublicAcls": "true", "BlockPublicPolicy": True},
                        "VersioningConfiguration": {"Status": "Enabled"},
                    },
                },
                "BucketPolicy": {
                    "Type": "AWS::S3::BucketPolicy",
                    "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": document},
                },
                "Role": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {
                        "AssumeRolePolicyDocument": trust,
                        "Policies": [{"PolicyName": f"inline-{word}", "PolicyDocument": document}],
                        "Tags": [{"Key": word, "Value": number}],
                    },
                },
                "Policy": {
                    "Type": "AWS::IAM::Policy",
                    "Properties": {"PolicyName": "own", "PolicyDocument": document, "Roles": [{"Ref": "Role"}]},
                },
                "Managed": {
                    "Type": "AWS::IAM::ManagedPolicy",
                    "Properties": {"PolicyDocument": document, "Roles": [{"Ref": "Role"}]},
                },
                "Repository": {"Type": "AWS::ECR::Repository", "Properties": {"ImageTagMutability": "IMMUTABLE"}},
                "Log": {
                    "Type": "AWS::Logs::LogGroup",
                    "Properties": {"LogGroupName": "/rooms", "RetentionInDays": number},
                },
                "Alarm": {
                    "Type": "AWS::CloudWatch::Alarm",
                    "Properties": {
                        "MetricName": "Invocations",
                        "Namespace": "AWS/SageMaker",
                        "Statistic": "Sum",
                        "Period": "60",
                        "EvaluationPeriods": 1,
                        "Threshold": number,
                        "ComparisonOperator": "GreaterThanThreshold",
                    },
                },
                "Target": {
                    "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                    "Properties": {
                        "Tags": [{"Key": "project", "Value": "rerank-toolkit"}],
                        "ServiceNamespace": "sagemaker",
                        "ScalableDimension": dimension,
                        "ResourceId": "endpoint/rooms/variant/AllTraffic",
                        "MinCapacity": 1,
                        "MaxCapacity": number,
                    },
                },
                "Scaling": {
                    "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                    "Properties": {
                        "PolicyName": "rooms",
                        "PolicyType": "TargetTrackingScaling",
                        "ScalingTargetId": {"Ref": "Target"},
                        "TargetTrackingScalingPolicyConfiguration": {
                            "TargetValue": number,
                            "PredefinedMetricSpecification": {
                                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                            },
                        },
                    },
                },
                "Metadata": {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": word}},
            }
        }

    assert local_aws.deploy("rooms", template("Get", "3"))["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons(
        "rooms"
    )
    first = local_aws.physical_ids("rooms")
    stack = local_aws.deploy("rooms", template("Put", "5"), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("rooms")
    second = local_aws.physical_ids("rooms")
    assert {name for name in first if first[name] != second[name]} == {"Managed"}

    role = second["Role"]
    iam = local_aws.client("iam")
    assert sorted(iam.list_role_policies(RoleName=role)["PolicyNames"]) == ["inline-Put", "own"]
    assert iam.list_role_tags(RoleName=role)["Tags"] == [{"Key": "Put", "Value": "5"}]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [second["Managed"]]
    (group,) = local_aws.client("logs").describe_log_groups(logGroupNamePrefix="/rooms")["logGroups"]
    assert group["retentionInDays"] == 5
    (alarm,) = local_aws.client("cloudwatch").describe_alarms(AlarmNames=[second["Alarm"]])["MetricAlarms"]
    assert alarm["Threshold"] == 5.0
    scaling = local_aws.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["MaxCapacity"] == 5
    assert local_aws.client("kms").describe_key(KeyId=second["Key"])["KeyMetadata"]["Description"] == "Put"
    encryption = local_aws.client("s3").get_bucket_encryption(Bucket=second["Bucket"])
    assert encryption["ServerSideEncryptionConfiguration"]["Rules"]

    local_aws.delete("rooms")
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    assert not [found for found in iam.list_roles()["Roles"] if found["RoleName"] == role]


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
