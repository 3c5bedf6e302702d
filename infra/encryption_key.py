"""The key for the storage volumes of endpoints."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct


def encryption_key(scope: Construct) -> kms.Key:
    """A key of the account, rotated yearly. It encrypts copies alone, so it may go with its stack."""
    return kms.Key(
        scope,
        "StorageKey",
        description="Storage volumes of rerank-toolkit endpoints",
        enable_key_rotation=True,
        removal_policy=cdk.RemovalPolicy.DESTROY,
        pending_window=cdk.Duration.days(7),
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
