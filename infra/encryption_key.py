"""The key under which everything of ours is stored: volumes, logs, requests and answers in S3, notifications."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.alarm import alarm_arn


def encryption_key(scope: Construct) -> kms.Key:
    """A key of the account, rotated yearly.

    One for all, as each is billed by the month; who may use it for what, statements say. Roles of this account have
    their use of it in their own policies, which the key's first statement allows; services that have no role of ours,
    CloudWatch and its logs, have it here.

    What it encrypts leaves with the stacks that stored it, so it may go with its own; for seven days it can be saved.
    """
    key = kms.Key(
        scope,
        "StorageKey",  # another id would be another key
        description="What rerank-toolkit stores: volumes, logs, requests and answers, notifications",
        enable_key_rotation=True,
        removal_policy=cdk.RemovalPolicy.DESTROY,
        pending_window=cdk.Duration.days(7),
    )
    stack = cdk.Stack.of(scope)
    key.add_to_resource_policy(_log_groups(stack))
    key.add_to_resource_policy(_alarms(stack))
    return key


# In a key's own policy, the resource * is that key.


def _log_groups(stack: cdk.Stack) -> iam.PolicyStatement:
    """Any group of the account, for stacks come and go; putting one under the key takes the right to use the key too.

    (CloudWatch Logs user guide, "Encrypt log data in CloudWatch Logs using AWS Key Management Service".)
    """
    groups = stack.format_arn(
        service="logs", resource="log-group", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )
    return iam.PolicyStatement(
        sid="LogGroupsOfThisAccount",
        principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
        actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
        resources=["*"],
        conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
    )


def _alarms(stack: cdk.Stack) -> iam.PolicyStatement:
    """Alarms write to encrypted topics in CloudWatch's name (SNS developer guide, "Enable compatibility between event
    sources from AWS services and encrypted topics")."""
    return iam.PolicyStatement(
        sid="AlarmsOfThisAccount",
        principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
        actions=["kms:Decrypt", "kms:GenerateDataKey*"],
        resources=["*"],
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": alarm_arn(stack, "*")},
        },
    )


def use_for_storage(key: kms.IKey) -> list[iam.PolicyStatement]:
    """What an execution role needs for SageMaker to attach volumes under `key`, and no more.

    SageMaker demands kms:CreateGrant of the role; the condition keeps the grants to AWS services.
    """
    return [
        iam.PolicyStatement(
            actions=["kms:CreateGrant"],
            resources=[key.key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
        iam.PolicyStatement(actions=["kms:DescribeKey"], resources=[key.key_arn]),
    ]


def use_through(key: kms.IKey, *services: str) -> iam.PolicyStatement:
    """What a role needs to read and write what `services`, such as s3 and sns, keep under `key`: only through them."""
    return _through(["kms:Decrypt", "kms:GenerateDataKey"], key.key_arn, key.stack.region, services)


def decrypt_through(key_arn: str, service: str) -> iam.PolicyStatement:
    """What a role needs to read what `service` keeps under a key of somebody else."""
    return _through(["kms:Decrypt"], key_arn, key_arn.split(":")[3], [service])


def _through(actions: list[str], key_arn: str, region: str, services: Sequence[str]) -> iam.PolicyStatement:
    via = [f"{service}.{region}.amazonaws.com" for service in services]
    return iam.PolicyStatement(
        actions=actions, resources=[key_arn], conditions={"StringEquals": {"kms:ViaService": via}}
    )
