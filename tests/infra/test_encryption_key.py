"""The one key: whose it is, and who may use it for what."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def key(plan, deployment, synthesise):
    template = synthesise(plan(deployment())).get_stack_by_name("RerankFoundation").template
    (key,) = (item["Properties"] for item in template["Resources"].values() if item["Type"] == "AWS::KMS::Key")
    return key


def _statement(key, service):
    (found,) = (
        statement
        for statement in key["KeyPolicy"]["Statement"]
        if service in json.dumps(statement["Principal"].get("Service", ""))
    )
    return found


def test_it_is_the_accounts_own_and_rotated(key):
    owner = key["KeyPolicy"]["Statement"][0]
    assert ":root" in json.dumps(owner["Principal"])
    assert key["EnableKeyRotation"] is True


def test_logs_use_it_for_log_groups_of_this_account_alone(key):
    statement = _statement(key, "logs.us-east-1")
    (group,) = statement["Condition"]["ArnLike"].values()
    assert list(statement["Condition"]["ArnLike"]) == ["kms:EncryptionContext:aws:logs:arn"]
    assert {"Ref": "AWS::AccountId"} in group["Fn::Join"][1]
    assert group["Fn::Join"][1][-1] == ":log-group:*"


def test_alarms_of_this_account_reach_topics_under_it(key):
    statement = _statement(key, "cloudwatch")
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert statement["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Join"][1][-1] == ":alarm:*"


def test_every_log_group_is_under_it(every_mode_in_a_network, synthesise):
    groups = [
        resource["Properties"]
        for stack in synthesise(every_mode_in_a_network).stacks
        for resource in stack.template["Resources"].values()
        if resource["Type"] == "AWS::Logs::LogGroup"
    ]
    assert len(groups) > len(every_mode_in_a_network.deployments)
    assert [group["LogGroupName"] for group in groups if "StorageKey" not in json.dumps(group.get("KmsKeyId"))] == []


def test_every_topic_and_bucket_is_under_it(every_mode, synthesise):
    resources = [
        resource for stack in synthesise(every_mode).stacks for resource in stack.template["Resources"].values()
    ]
    kinds = {"AWS::SNS::Topic": "KmsMasterKeyId", "AWS::S3::Bucket": "BucketEncryption"}
    for kind, name in kinds.items():
        found = [resource["Properties"] for resource in resources if resource["Type"] == kind]
        assert found
        assert all("StorageKey" in json.dumps(properties[name]) for properties in found), kind
