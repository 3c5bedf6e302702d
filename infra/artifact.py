"""The model's artifact at deploy time: in S3 already, or an archive on this machine that `cdk deploy` uploads."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker

from infra.archive import Archive, UnusableArchive
from infra.encryption_key import decrypt_through
from infra.options import Options
from infra.served import MAIN, Served, variant_name
from rerank_toolkit.contracts.plan import LocalArtifact, S3Artifact


@dataclass(frozen=True)
class ModelData:
    """Where SageMaker fetches an artifact: one tar.gz, or the files under a prefix as they are."""

    url: str
    bucket_arn: str
    key: str
    """A prefix ends in a slash."""
    encryption_key_arn: str | None = None
    """None for a key of S3's own, which needs no permission."""

    @classmethod
    def of(cls, stack: cdk.Stack, served: Served, options: Options) -> ModelData:
        """The artifact of what is served.

        An archive that is missing or is not what the plan says becomes an asset that can't be made: `cdk ls` and
        `cdk synth` work without it, `cdk deploy` of this stack stops with the reason before anything of it is made.
        """
        match served.artifact:
            case S3Artifact(uri=uri, key_arn=key_arn):
                bucket, _, key = uri.removeprefix("s3://").partition("/")
                return cls(url=uri, bucket_arn=_bucket_arn(stack, bucket), key=key, encryption_key_arn=key_arn)
            case LocalArtifact() as artifact:
                folder = options.locate(artifact)
            case other:
                raise TypeError(f"{stack.stack_name} has the artifact {other}, which is no data in S3. This is a bug.")
        try:
            archive = Archive.open(folder, served.model, served.engine, served.dtype)
        except UnusableArchive:
            return cls._uploaded(stack, _unmakable_asset(stack, served, folder))
        if archive.manifest.seeded:
            cdk.Annotations.of(stack).add_warning_v2(
                "rerank-toolkit:seeded",
                f"{folder} holds random weights: good for measuring speed, worthless for ranking",
            )
        return cls._uploaded(stack, _file_asset(stack, archive))

    @classmethod
    def _uploaded(cls, stack: cdk.Stack, asset: cdk.FileAssetLocation) -> ModelData:
        return cls(url=asset.s3_object_url, bucket_arn=_bucket_arn(stack, asset.bucket_name), key=asset.object_key)

    @property
    def is_prefix(self) -> bool:
        return self.key.endswith("/")

    def as_source(self) -> sagemaker.CfnModel.ModelDataSourceProperty:
        """A prefix, as a model's container names it; an archive it names by `url`."""
        return sagemaker.CfnModel.ModelDataSourceProperty(
            s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
                s3_uri=self.url, s3_data_type="S3Prefix", compression_type="None"
            )
        )

    def read_statements(self) -> list[iam.PolicyStatement]:
        """What a role needs to fetch it, and nothing beside it."""
        decrypt = [decrypt_through(self.encryption_key_arn, "s3")] if self.encryption_key_arn else []
        if not self.is_prefix:
            archive = f"{self.bucket_arn}/{self.key}"
            return [iam.PolicyStatement(actions=["s3:GetObject"], resources=[archive]), *decrypt]
        return [
            *decrypt,
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[self.files_arn]),
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[self.bucket_arn],
                conditions={"StringLike": {"s3:prefix": f"{self.key}*"}},
            ),
        ]

    @property
    def files_arn(self) -> str:
        """Of all files under a prefix."""
        return f"{self.bucket_arn}/{self.key}*"


def _bucket_arn(stack: cdk.Stack, bucket: str) -> str:
    return f"arn:{stack.partition}:s3:::{bucket}"


def _file_asset(stack: cdk.Stack, archive: Archive) -> cdk.FileAssetLocation:
    # Not aws_s3_assets.Asset, which copies the archive into cdk.out and calls the object .gz: SageMaker takes only
    # names that end in .tar.gz. What follows the last dot, the synthesizer takes from the file.
    return stack.synthesizer.add_file_asset(
        source_hash=f"{archive.digest}.tar",
        file_name=str(archive.path),
        packaging=cdk.FileAssetPackaging.FILE,
        display_name=f"{archive.manifest.display_name} ({archive.path.name})",
    )


def _unmakable_asset(stack: cdk.Stack, served: Served, folder: Path) -> cdk.FileAssetLocation:
    name = variant_name(served)
    what = stack.stack_name if name == MAIN else f"{stack.stack_name}-{name}"
    return stack.synthesizer.add_file_asset(
        source_hash=f"missing-{what}.tar.gz",
        executable=[
            *(sys.executable, "-P", "-m", "infra.archive"),  # -P: whatever `infra` the working directory may hold
            *(str(folder), served.model, served.engine, served.dtype),
        ],
        display_name=f"{served.model} (not packaged)",
    )
