"""The bucket for requests and answers: who is kept out, and what becomes of what lies in it."""

from __future__ import annotations

import pytest

from infra.data_stack import DATA
from rerank_toolkit.contracts.plan import Operations


@pytest.fixture
def data(plan, deployment, synthesise):
    """Its template."""
    queued = plan(deployment(mode="async"), operations=Operations(data_retention_days=3))
    return synthesise(queued).get_stack_by_name(DATA).template


def _one(template, kind):
    (properties,) = (resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind)
    return properties


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, False),
        ({"mode": "async"}, True),
        ({"mode": "batch", "instance": "ml.c5.xlarge"}, True),
    ],
)
def test_it_is_there_for_those_who_need_it(plan, deployment, synthesise, changes, there):
    names = [stack.stack_name for stack in synthesise(plan(deployment(**changes))).stacks]
    assert (DATA in names) is there


def test_everything_in_it_is_under_our_key(data):
    (rule,) = _one(data, "AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert "StorageKey" in rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]["Fn::ImportValue"]


def test_nobody_from_outside_gets_in(data):
    bucket = _one(data, "AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_only_tls_is_spoken(data):
    statements = _one(data, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    conditions = {
        operator: condition
        for statement in statements
        if statement["Effect"] == "Deny" and statement["Action"] == "s3:*"
        for operator, condition in statement["Condition"].items()
    }
    assert conditions == {"Bool": {"aws:SecureTransport": "false"}, "NumericLessThan": {"s3:TlsVersion": 1.2}}


def test_what_nobody_deletes_expires_with_all_its_parts(data):
    bucket = _one(data, "AWS::S3::Bucket")
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["Status"]) == (3, "Enabled")
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert "Prefix" not in rule
    assert "VersioningConfiguration" not in bucket  # an old version would outlive the days that are promised


def test_destroy_leaves_no_bucket_behind_and_needs_no_function_of_ours(data):
    policies = {resource["Type"]: resource["DeletionPolicy"] for resource in data["Resources"].values()}
    # The policy goes with its bucket, and not before.
    assert policies == {"AWS::S3::Bucket": "Delete", "AWS::S3::BucketPolicy": "Retain"}


def test_it_tells_how_to_empty_it(data):
    command = data["Outputs"]["EmptyCommand"]["Value"]["Fn::Join"][1]
    assert command[0] == "aws s3 rm --recursive s3://"
    assert command[1]["Ref"] in data["Resources"]


def test_each_deployment_has_folders_that_no_other_reaches(plan, deployment, synthesise):
    assembly = synthesise(
        plan(
            deployment(stack="RerankOne", mode="async"),
            deployment(stack="RerankTwo", mode="batch", instance="ml.c5.xlarge"),
        )
    )
    for stack, other in (("RerankOne", "RerankTwo"), ("RerankTwo", "RerankOne")):
        text = str(assembly.get_stack_by_name(stack).template)
        assert f"/{stack}/input/*" in text
        assert f"/{other}/" not in text
