"""What an endpoint may do. A new action or a wider resource has to be written here first."""

from __future__ import annotations

import json

import pytest

WITHOUT_KEY = {
    ("s3:GetObject", "arn:aws:s3:::models/tiny/tiny.tar.gz"),
    ("ecr:BatchCheckLayerAvailability", "arn:aws:ecr:us-east-1:ACCOUNT:repository/rerank-toolkit"),
    ("ecr:BatchGetImage", "arn:aws:ecr:us-east-1:ACCOUNT:repository/rerank-toolkit"),
    ("ecr:GetDownloadUrlForLayer", "arn:aws:ecr:us-east-1:ACCOUNT:repository/rerank-toolkit"),
    ("ecr:GetAuthorizationToken", "*"),
    ("logs:CreateLogStream", "Logs.Arn"),
    ("logs:DescribeLogStreams", "Logs.Arn"),
    ("logs:PutLogEvents", "Logs.Arn"),
    ("cloudwatch:PutMetricData", "*"),
}
KEY = {("kms:CreateGrant", "StorageKey"), ("kms:DescribeKey", "StorageKey")}
CONDITIONS = {
    "cloudwatch:PutMetricData": {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
    "kms:CreateGrant": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
}


def _plain(resource):
    match resource:
        case str():
            return resource
        case {"Ref": "AWS::AccountId"}:
            return "ACCOUNT"
        case {"Fn::Join": [separator, parts]}:
            return separator.join(_plain(part) for part in parts)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::ImportValue": name} if "StorageKey" in name:
            return "StorageKey"
    raise AssertionError(f"a resource of a new form: {resource}")


def _listed(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    ("instance", "expected"), [("ml.c7i.xlarge", WITHOUT_KEY | KEY), ("ml.g5.xlarge", WITHOUT_KEY)]
)
def test_the_execution_role_has_these_permissions_and_no_others(render, deployment, instance, expected):
    template = render(deployment(instance=instance))
    role = template.one("AWS::IAM::Role")
    assert template.resources("AWS::IAM::Policy") == template.resources("AWS::IAM::ManagedPolicy") == []
    assert "ManagedPolicyArns" not in role
    (policy,) = role["Policies"]
    granted = set()
    for statement in policy["PolicyDocument"]["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in _listed(statement["Action"]):
            assert statement.get("Condition") == CONDITIONS.get(action), action
            granted |= {(action, _plain(resource)) for resource in _listed(statement["Resource"])}
    assert granted == expected


def test_only_sagemaker_on_behalf_of_this_account_takes_the_role(render, deployment):
    role = render(deployment()).one("AWS::IAM::Role")
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_the_key_is_the_accounts_own(plan, deployment, synthesise):
    template = synthesise(plan(deployment())).get_stack_by_name("RerankFoundation").template
    (key,) = (resource for resource in template["Resources"].values() if resource["Type"] == "AWS::KMS::Key")
    (statement,) = key["Properties"]["KeyPolicy"]["Statement"]
    assert ":root" in json.dumps(statement["Principal"])
    assert key["Properties"]["EnableKeyRotation"] is True
