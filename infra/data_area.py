"""One deployment's part of the bucket for requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from infra.acknowledgements import acknowledge_lint
from infra.encryption_key import use_through
from rerank_toolkit.contracts.plan import Deployment

INPUT, OUTPUT, FAILURES = "input", "output", "failures"


@dataclass(frozen=True)
class DataArea:
    """Folders under the deployment's name: no other's role reads or writes there."""

    bucket: s3.IBucket
    key: kms.IKey
    name: str

    @classmethod
    def of(cls, deployment: Deployment, bucket: s3.IBucket | None, key: kms.IKey) -> DataArea:
        """key: under which the bucket keeps everything."""
        if bucket is None:
            raise TypeError(f"{deployment.stack} has no bucket, which the app makes for its mode. This is a bug.")
        return cls(bucket=bucket, key=key, name=deployment.stack)

    def acknowledge_outputs(self, stack: cdk.Stack) -> None:
        """For a stack that tells callers where to put requests."""
        acknowledge_lint(
            stack, {"W6001": "the bucket is another stack's, and whoever calls must not have to know that"}
        )

    def uri(self, folder: str) -> str:
        """Of a folder, with the slash at its end."""
        return f"s3://{self.bucket.bucket_name}/{self.name}/{folder}/"

    def objects_arn(self, folder: str) -> str:
        """Of everything in a folder."""
        return f"{self.bucket.bucket_arn}/{self.name}/{folder}/*"

    def use(self, *, read: tuple[str, ...], write: tuple[str, ...]) -> list[iam.PolicyStatement]:
        """What a role needs to read what is in some folders and to write into others."""
        return [
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[self.objects_arn(folder) for folder in read]),
            iam.PolicyStatement(
                # What is large goes up in parts, and what fails on the way is not left there to be billed.
                actions=["s3:PutObject", "s3:AbortMultipartUpload"],
                resources=[self.objects_arn(folder) for folder in write],
            ),
            use_through(self.key, "s3"),
        ]

    def list(self, folder: str) -> iam.PolicyStatement:
        """What a role needs to find out what is in a folder."""
        return iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[self.bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": f"{self.name}/{folder}/*"}},
        )

    def wildcards(self, *folders: str) -> Mapping[str, str]:
        """Resources of these statements that have a * in them, each with its reason."""
        return {
            self.objects_arn(folder): "requests and answers have names that nobody knows beforehand, in a folder "
            "that is this deployment's alone"
            for folder in folders
        }
