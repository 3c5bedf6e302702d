"""Who may do what: every statement of every policy in every template. A wildcard has to be written here first."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from infra.app import add_stacks, new_app
from infra.options import Options

GOLDEN = Path(__file__).parents[1] / "golden" / "infra" / "test_permissions"


_HASH = re.compile(r"[0-9A-F]{8}$")
_CONTENT = re.compile(r"[0-9a-f]{64}")
"""Of what is uploaded: not a matter of permissions."""


class Listing(SingleFileSnapshotExtension):
    """A line for each permission, to be read by a reviewer."""

    file_extension = "txt"
    _write_mode = WriteMode.TEXT

    @classmethod
    def dirname(cls, **_: object) -> str:
        return str(GOLDEN)

    def serialize(self, data: object, **_: object) -> str:
        return str(data)


@dataclass(frozen=True, order=True)
class Permission:
    stack: str
    holder: str
    """The resource that the policy is part of, by its logical id without the hash."""
    effect: str
    principal: str
    """Who it is for; empty in a role's own policy."""
    action: str
    resource: str
    """Empty in a resource's own policy that names none."""
    condition: str

    def __str__(self) -> str:
        who = f" {self.principal}" if self.principal else ""
        on = f" on {self.resource}" if self.resource else ""
        condition = f" if {self.condition}" if self.condition else ""
        return f"{self.holder}: {self.effect}{who} {self.action}{on}{condition}"


def _permissions(assembly) -> list[Permission]:
    found = {
        permission
        for stack in assembly.stacks
        for holder, resource in stack.template["Resources"].items()
        for statement in _statements(resource.get("Properties", {}))
        for permission in _spelt_out(stack.stack_name, _HASH.sub("", holder), statement)
    }
    return sorted(found)


def _statements(value: Any) -> Iterator[dict[str, Any]]:
    """Those of every policy document in `value`, wherever a resource has it."""
    match value:
        case {"Statement": statements}:
            yield from _listed(statements)
        case dict():
            for item in value.values():
                yield from _statements(item)
        case list():
            for item in value:
                yield from _statements(item)


def _spelt_out(stack: str, holder: str, statement: dict[str, Any]) -> Iterator[Permission]:
    """Whatever else a statement may have, such as NotAction, is not for us."""
    assert set(statement) <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}, statement
    for principal in _principals(statement.get("Principal", "")):
        for action in _listed(statement["Action"]):
            for resource in _listed(statement.get("Resource", "")):
                condition = _plain_all(statement.get("Condition", {}))
                yield Permission(
                    stack=stack,
                    holder=holder,
                    effect=statement["Effect"],
                    principal=principal,
                    action=action,
                    resource=_plain(resource),
                    condition=json.dumps(condition, sort_keys=True) if condition else "",
                )


def _principals(principal: Any) -> list[str]:
    if isinstance(principal, str):
        return [principal]
    return [_plain(one) for of_a_kind in principal.values() for one in _listed(of_a_kind)]


def _plain(value: Any) -> str:
    match value:
        case str():
            return _CONTENT.sub("CONTENT", value)
        case {"Fn::Join": [separator, parts]}:
            return separator.join(_plain(part) for part in parts)
        case {"Fn::Sub": text}:
            return _plain(text)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{_HASH.sub('', name)}.{attribute}}}"
        case {"Fn::ImportValue": name}:
            return f"${{{_plain(name)}}}"
        case {"Ref": name}:
            return f"${{{_HASH.sub('', name)}}}"
    raise AssertionError(f"a value of a new form: {value}")


def _plain_all(condition: Any) -> Any:
    match condition:
        case dict() if not any(name.startswith(("Fn::", "Ref")) for name in condition):
            return {name: _plain_all(item) for name, item in condition.items()}
        case list():
            return [_plain_all(item) for item in condition]
        case bool() | int() | float():
            return condition
        case _:
            return _plain(condition)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def everywhere(every_mode, tmp_path_factory) -> list[Permission]:
    return _permissions(_synthesise(every_mode, tmp_path_factory.mktemp("everywhere")))


@pytest.fixture(scope="module")
def in_a_network(every_mode_in_a_network, tmp_path_factory) -> list[Permission]:
    return _permissions(_synthesise(every_mode_in_a_network, tmp_path_factory.mktemp("in_a_network")))


@pytest.fixture(scope="module")
def in_shared_subnets(in_subnets_that_exist, tmp_path_factory) -> list[Permission]:
    return _permissions(_synthesise(in_subnets_that_exist, tmp_path_factory.mktemp("in_shared_subnets")))


def _synthesise(plan, folder: Path):
    app = new_app(str(folder))
    add_stacks(app, plan, Options(images=True))
    return app.synth()


def _listing(permissions: list[Permission]) -> str:
    stacks = itertools.groupby(permissions, key=lambda permission: permission.stack)
    return "\n".join("\n".join([stack, *(f"  {one}" for one in found), ""]) for stack, found in stacks)


def test_every_permission_is_listed(everywhere, snapshot):
    assert _listing(everywhere) == snapshot(extension_class=Listing)


def test_what_a_network_adds_is_listed(everywhere, in_a_network, snapshot):
    known = set(everywhere)
    assert _listing([permission for permission in in_a_network if permission not in known]) == snapshot(
        extension_class=Listing
    )


NO_RESOURCE = "IAM knows no resource for it"
NO_NAME = "what is written there gets its name later, in a folder that is the deployment's alone"
ITSELF = "in a key's own policy it is that key"
PERHAPS_SHARED = "subnets may be another account's; no two have one id"
INTERFACES = "arn:aws:ec2:us-east-1:${AWS::AccountId}:network-interface/*"
JOB_LOGS = "arn:aws:logs:us-east-1:${AWS::AccountId}:log-group:/aws/sagemaker/TransformJobs:*"

WILDCARDS = {
    ("BuildRole", "*"): ("ecr:GetAuthorizationToken", NO_RESOURCE),
    ("ExecutionRole", "*"): (
        "cloudwatch:PutMetricData ec2:DeleteNetworkInterfacePermission ec2:DescribeDhcpOptions "
        "ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcEndpoints "
        "ec2:DescribeVpcs",
        NO_RESOURCE,
    ),
    ("ExecutionRole", INTERFACES): (
        "ec2:CreateNetworkInterface ec2:CreateNetworkInterfacePermission ec2:DeleteNetworkInterface",
        "an interface has no name before it is made; the subnet says where",
    ),
    ("ExecutionRole", "arn:aws:ec2:us-east-1:*:subnet/SUBNET"): ("ec2:CreateNetworkInterface", PERHAPS_SHARED),
    ("ExecutionRole", "arn:aws:ec2:us-east-1:*:security-group/GROUP"): ("ec2:CreateNetworkInterface", PERHAPS_SHARED),
    ("ExecutionRole", JOB_LOGS): (
        "logs:CreateLogGroup logs:CreateLogStream logs:DescribeLogStreams logs:PutLogEvents",
        "streams of the group that SageMaker keeps for all transform jobs",
    ),
    ("ExecutionRole", "DATA/STACK/input/*"): ("s3:GetObject", NO_NAME),
    ("ExecutionRole", "DATA/STACK/output/*"): ("s3:AbortMultipartUpload s3:PutObject", NO_NAME),
    ("ExecutionRole", "DATA/STACK/failures/*"): ("s3:AbortMultipartUpload s3:PutObject", NO_NAME),
    ("Fetch", "*"): ("ecr:GetAuthorizationToken", NO_RESOURCE),
    ("Fetch", "arn:aws:s3:::models/turbo/*"): ("s3:GetObject", "an artifact of many files"),
    ("InvokePolicy", "DATA/STACK/input/*"): ("s3:AbortMultipartUpload s3:PutObject", NO_NAME),
    ("InvokePolicy", "DATA/STACK/output/*"): ("s3:GetObject", NO_NAME),
    ("InvokePolicy", "DATA/STACK/failures/*"): ("s3:GetObject", NO_NAME),
    ("InvokePolicy", "arn:aws:states:us-east-1:${AWS::AccountId}:execution:${JobStateMachine.Name}:*"): (
        "states:DescribeExecution",
        "executions of this state machine, which have no names beforehand",
    ),
    ("JobRole", "*"): (
        "logs:CreateLogDelivery logs:DeleteLogDelivery logs:DescribeLogGroups logs:DescribeResourcePolicies "
        "logs:GetLogDelivery logs:ListLogDeliveries logs:PutResourcePolicy logs:UpdateLogDelivery",
        NO_RESOURCE,
    ),
    ("JobRole", "arn:aws:sagemaker:us-east-1:${AWS::AccountId}:transform-job/STACK-*"): (
        "sagemaker:AddTags sagemaker:CreateTransformJob sagemaker:DescribeTransformJob sagemaker:ListTags "
        "sagemaker:StopTransformJob",
        "jobs are named when they start, after their deployment",
    ),
    ("S3", "*"): (
        "s3:AbortMultipartUpload s3:GetObject s3:ListBucket s3:PutObject",
        "a gateway gives no right that its caller has not; writing is bound to this account's buckets",
    ),
    ("StorageKey", "*"): (
        "kms:* kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey* kms:ReEncrypt*",
        ITSELF,
    ),
}
"""By who has it and on what: the actions, and why that can't be narrower."""


def test_every_wildcard_is_one_with_a_written_reason(everywhere, in_a_network, in_shared_subnets):
    wild: dict[tuple[str, str], set[str]] = {}
    for permission in (*everywhere, *in_a_network, *in_shared_subnets):
        if permission.effect == "Allow" and ("*" in permission.action or "*" in permission.resource):
            resource = _without_names(permission)
            wild.setdefault((permission.holder, resource), set()).add(permission.action)
    assert {which: " ".join(sorted(actions)) for which, actions in wild.items()} == {
        which: actions for which, (actions, _) in WILDCARDS.items()
    }


def _without_names(permission: Permission) -> str:
    resource = re.sub(r"\$\{RerankData:[^}]*Bucket[^}]*\}", "DATA", permission.resource)
    resource = re.sub(r"subnet-\w+", "SUBNET", re.sub(r"sg-\w+", "GROUP", resource))
    return resource.replace(permission.stack, "STACK").replace(permission.stack.lower(), "STACK")


def test_nobody_unnamed_is_given_anything(everywhere, in_a_network):
    """But by the gateway to S3, through which SageMaker reads in other names than ours."""
    to_all = {
        (permission.holder, permission.action)
        for permission in (*everywhere, *in_a_network)
        if permission.effect == "Allow" and "*" in permission.principal and not permission.condition
    }
    assert to_all == {("S3", "s3:GetObject"), ("S3", "s3:ListBucket")}


def test_services_take_roles_for_this_account_alone(everywhere, in_a_network):
    taken = [permission for permission in (*everywhere, *in_a_network) if permission.action == "sts:AssumeRole"]
    assert {permission.principal.removesuffix(".amazonaws.com") for permission in taken} == {
        *("codebuild", "sagemaker", "states", "vpc-flow-logs"),
    }
    assert all('"aws:SourceAccount": "${AWS::AccountId}"' in permission.condition for permission in taken)


def test_no_role_has_a_policy_of_somebody_else(every_mode, synthesise):
    for stack in synthesise(every_mode, Options(images=True)).stacks:
        for name, resource in stack.template["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role":
                assert "ManagedPolicyArns" not in resource["Properties"], name


def test_a_new_action_would_be_noticed(plan, deployment, everywhere, tmp_path):
    app = new_app(str(tmp_path))
    (stack,) = add_stacks(app, plan(deployment(stack="RerankArm")), Options())
    stack.node.find_child("ExecutionRole").add_to_policy(
        cdk.aws_iam.PolicyStatement(actions=["s3:DeleteObject"], resources=["arn:aws:s3:::models/*"])
    )
    new = set(_permissions(app.synth())) - set(everywhere)
    assert "ExecutionRoleDefaultPolicy: Allow s3:DeleteObject on arn:aws:s3:::models/*" in {str(one) for one in new}
