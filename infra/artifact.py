"""The model's artifact at deploy time: an S3 object, or an archive on this machine that `cdk deploy` uploads."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk

from infra.options import Options
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts import documents, manifest
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.manifest import Manifest
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
        `cdk synth` work without it, `cdk deploy` of this stack stops with the reason before anything is created.
        """
        match deployment.artifact:
            case S3Artifact(uri=uri):
                return cls(url=uri, arn=f"arn:{stack.partition}:s3:::{uri.removeprefix('s3://')}")
            case LocalArtifact() as artifact:
                folder = options.locate(artifact)
        try:
            archive = Archive.open(folder, deployment)
        except UnusableArchive as error:
            return cls._located(stack, _stopping_asset(stack, deployment, str(error)))
        if archive.manifest.seeded:
            cdk.Annotations.of(stack).add_warning_v2(
                "rerank-toolkit:seeded",
                f"{folder} holds random weights: good for measuring speed, worthless for ranking",
            )
        return cls._located(stack, _file_asset(stack, archive))

    @classmethod
    def _located(cls, stack: cdk.Stack, asset: cdk.FileAssetLocation) -> ModelData:
        return cls(url=asset.s3_object_url, arn=f"arn:{stack.partition}:s3:::{asset.bucket_name}/{asset.object_key}")


class UnusableArchive(ToolkitError):
    """There is no archive, or it doesn't hold what the plan deploys."""


@dataclass(frozen=True)
class Archive:
    """The tar.gz that `rerank package` wrote beside an artifact's folder."""

    path: Path
    manifest: Manifest
    digest: str
    """Names the content: the manifest vouches for each file with its hash, so hashing gigabytes on every `cdk ls`
    is not needed. The size tells a truncated archive from a whole one."""

    @classmethod
    def open(cls, folder: Path, deployment: Deployment) -> Archive:
        """The archive of the artifact `folder`; raises UnusableArchive, which says what to do."""
        path = folder.with_name(f"{folder.name}.tar.gz")
        model = find_model(deployment.model)
        command = f"rerank package {model.alias} --engine {deployment.engine} --dtype {deployment.dtype} --out {folder}"
        try:
            text = _manifest_text(path)
            held = documents.decode(text, Manifest, name=f"{manifest.FILE_NAME} in {path}")
        except FileNotFoundError:
            raise UnusableArchive(f"{model.id} is not packaged: there is no {path}. Run: {command}") from None
        except (OSError, EOFError, tarfile.TarError, zlib.error, ToolkitError) as error:
            raise UnusableArchive(f"{path} can't be used: {error}. Package it anew: {command}") from None
        expected = (model.id, deployment.engine, deployment.dtype)
        if (held.model_id, held.engine, held.dtype) != expected:
            raise UnusableArchive(
                f"{path} holds {held.model_id} for {held.engine} in {held.dtype}, but {deployment.stack} deploys "
                f"{model.id} for {deployment.engine} in {deployment.dtype}. Run: {command}"
            )
        digest = hashlib.sha256(text + str(path.stat().st_size).encode()).hexdigest()
        return cls(path=path, manifest=held, digest=digest)


def _manifest_text(path: Path) -> bytes:
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:  # in order, for the manifest comes first and what follows need not be unpacked
            if member.name.removeprefix("./") == manifest.FILE_NAME and (file := archive.extractfile(member)):
                return file.read()
    raise tarfile.TarError(f"it has no {manifest.FILE_NAME}")


def _file_asset(stack: cdk.Stack, archive: Archive) -> cdk.FileAssetLocation:
    # Not aws_s3_assets.Asset, which copies the archive into cdk.out and calls the object .gz: SageMaker takes only
    # names that end in .tar.gz. What follows the last dot, the synthesizer takes from the file.
    return stack.synthesizer.add_file_asset(
        source_hash=f"{archive.digest}.tar",
        file_name=str(archive.path),
        packaging=cdk.FileAssetPackaging.FILE,
        display_name=f"{archive.manifest.display_name} ({archive.path.name})",
    )


def _stopping_asset(stack: cdk.Stack, deployment: Deployment, reason: str) -> cdk.FileAssetLocation:
    return stack.synthesizer.add_file_asset(
        source_hash=f"missing-{stack.stack_name}.tar.gz",
        executable=[sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", reason],
        display_name=f"{deployment.model} (not packaged)",
    )
