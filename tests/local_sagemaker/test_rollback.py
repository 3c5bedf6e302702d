"""What is left of a stack when a deploy fails: rolled back, or kept to be mended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import LocalAws
from .resources import IMPOSSIBLE, UNDELETABLE, bucket, parameter, role, topic


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
