"""The model's artifact at deploy time: an S3 object, or an archive on this machine that `cdk deploy` uploads."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk

from infra.archive import Archive, UnusableArchive
from infra.options import Options
from rerank_toolkit.contracts.plan import Deployment, LocalArtifact, S3Artifact


@dataclass(frozen=True)
class ModelData:
    """Where SageMaker fetches the archive."""

    url: str
    arn: str

    @classmethod
    def of(cls, stack: cdk.Stack, deployment: Deployment, options: Options) -> ModelData:
        """The deployment's artifact.

        An archive that is missing or is not what the plan says becomes an asset that can't be made: `cdk ls` and
        `cdk synth` work without it, `cdk deploy` of this stack stops with the reason before anything of it is made.
        """
        match deployment.artifact:
            case S3Artifact(uri=uri):
                return cls(url=uri, arn=f"arn:{stack.partition}:s3:::{uri.removeprefix('s3://')}")
            case LocalArtifact() as artifact:
                folder = options.locate(artifact)
            case other:
                raise TypeError(
                    f"{deployment.stack} has the artifact {other}, which no checked plan has. This is a bug."
                )
        try:
            archive = Archive.open(folder, deployment.model, deployment.engine, deployment.dtype)
        except UnusableArchive:
            return cls._located(stack, _unmakable_asset(stack, deployment, folder))
        if archive.manifest.seeded:
            cdk.Annotations.of(stack).add_warning_v2(
                "rerank-toolkit:seeded",
                f"{folder} holds random weights: good for measuring speed, worthless for ranking",
            )
        return cls._located(stack, _file_asset(stack, archive))

    @classmethod
    def _located(cls, stack: cdk.Stack, asset: cdk.FileAssetLocation) -> ModelData:
        return cls(url=asset.s3_object_url, arn=f"arn:{stack.partition}:s3:::{asset.bucket_name}/{asset.object_key}")


def _file_asset(stack: cdk.Stack, archive: Archive) -> cdk.FileAssetLocation:
    # Not aws_s3_assets.Asset, which copies the archive into cdk.out and calls the object .gz: SageMaker takes only
    # names that end in .tar.gz. What follows the last dot, the synthesizer takes from the file.
    return stack.synthesizer.add_file_asset(
        source_hash=f"{archive.digest}.tar",
        file_name=str(archive.path),
        packaging=cdk.FileAssetPackaging.FILE,
        display_name=f"{archive.manifest.display_name} ({archive.path.name})",
    )


def _unmakable_asset(stack: cdk.Stack, deployment: Deployment, folder: Path) -> cdk.FileAssetLocation:
    return stack.synthesizer.add_file_asset(
        source_hash=f"missing-{stack.stack_name}.tar.gz",
        executable=[
            *(sys.executable, "-P", "-m", "infra.archive"),  # -P: whatever `infra` the working directory may hold
            *(str(folder), deployment.model, deployment.engine, deployment.dtype),
        ],
        display_name=f"{deployment.model} (not packaged)",
    )
