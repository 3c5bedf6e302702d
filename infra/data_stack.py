"""The bucket for requests and answers that don't fit into a call: of asynchronous endpoints and of batch jobs."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.acknowledgements import acknowledge, in_packs
from infra.foundation import environment
from infra.tags import tag
from rerank_toolkit.contracts.plan import Mode, Plan

DATA = "RerankData"


USING: frozenset[Mode] = frozenset({"async", "batch"})
"""Modes whose requests and answers go through it."""


def data_bucket(app: cdk.App, plan: Plan, key: kms.IKey) -> s3.IBucket | None:
    """The bucket, in a stack of its own; None where no deployment of the plan needs it."""
    if any(deployment.mode in USING for deployment in plan.deployments):
        return DataStack(app, plan, key).bucket
    return None


class DataStack(cdk.Stack):
    """Deployed by itself when the first endpoint or job that needs it is.

    Apart from them, so that an endpoint and its bill can be ended while answers wait to be fetched. Nothing is billed
    here for long: what nobody deletes, expires. The bucket goes when it is empty, and only then: CloudFormation
    deletes no bucket that holds something, so no `cdk destroy` takes an unread answer with it.
    """

    def __init__(self, scope: Construct, plan: Plan, key: kms.IKey) -> None:
        super().__init__(
            scope,
            DATA,
            env=environment(plan),
            description="Shared by all asynchronous endpoints and batch jobs of rerank-toolkit: requests and answers, "
            "billed by what is there",
        )
        tag(self)  # not the plan: it serves the endpoints of all plans
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,  # else each request and answer is a call to KMS, which bills them
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="expire",
                    expiration=cdk.Duration.days(plan.operations.data_retention_days),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        if self.bucket.policy:
            # It goes with its bucket; by itself it would go before, and leave a full one standing without it.
            self.bucket.policy.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        acknowledge(
            self.bucket,
            {
                "AwsSolutions-S1": _NO_ACCESS_LOGS,
                **in_packs("S3BucketLoggingEnabled", _NO_ACCESS_LOGS),
                **in_packs("S3BucketVersioningEnabled", _NO_VERSIONS),
                **in_packs("S3BucketReplicationEnabled", "what is lost can be asked again; it lives for days"),
            },
        )
        cdk.CfnOutput(self, "BucketName", value=self.bucket.bucket_name, description="For requests and answers")
        cdk.CfnOutput(
            self,
            "EmptyCommand",
            value=f"aws s3 rm --recursive s3://{self.bucket.bucket_name} --region {plan.region}",
            description="Deletes every request and answer, without which this stack can't be destroyed",
        )


_NO_ACCESS_LOGS = (
    "who reads and writes what is told by CloudTrail's data events, which an account switches on for all its buckets; "
    "a bucket of logs would keep names of requests longer than the requests"
)
_NO_VERSIONS = (
    "a request or answer that was deleted, or has expired, must be gone; none is ever written over, for each has a "
    "name of its own"
)
