"""A log group under our key, which leaves with its stack."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct


def log_group(scope: Construct, id: str, *, name: str, retention_days: int, key: kms.IKey) -> logs.CfnLogGroup:
    """The group `name`.

    A service that finds no group makes one itself, unencrypted, to be kept and billed for ever: whoever writes into
    this one depends on it.
    """
    group = logs.CfnLogGroup(scope, id, log_group_name=name, retention_in_days=retention_days, kms_key_id=key.key_arn)
    group.apply_removal_policy(cdk.RemovalPolicy.DESTROY)
    return group
