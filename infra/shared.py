"""What the stacks of deployments have of those that all of them share."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from infra.vpc_access import VpcAccess


@dataclass(frozen=True)
class Shared:
    key: kms.IKey
    """Under which everything is stored."""
    alerts: sns.ITopic
    """That alarms write to."""
    network: VpcAccess | None
    """None leaves containers in SageMaker's own."""
    data: s3.IBucket | None
    """For requests and answers that don't fit into a call; None where no deployment has such."""
