"""Where a deployment's model and container come from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.image_name import is_repository, is_tag
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Image, ModelPackageArtifact, S3Artifact

_S3_URI = re.compile(r"s3://[a-z0-9.-]{3,63}/[\w!.'()/=+@:,-]+\.tar\.gz", re.ASCII)


def check_artifact(deployment: Deployment, field: str) -> Iterator[Fault]:
    artifact = deployment.artifact
    if isinstance(artifact, ModelPackageArtifact):
        yield Fault(
            f"{field}.artifact", "is a Marketplace model package; this version deploys s3 and local artifacts only"
        )
    if isinstance(artifact, S3Artifact) and not _S3_URI.fullmatch(artifact.uri):
        # Exactly one object: a * in it would be a wildcard in the execution role.
        yield Fault(
            f"{field}.artifact.uri",
            f"is {artifact.uri!r}; expected one archive, s3://BUCKET/KEY.tar.gz, its key without wildcards or spaces",
        )


def check_image(image: Image | None, field: str, *, required: bool) -> Iterator[Fault]:
    if image is None:
        if required:
            yield Fault(field, "is missing; expected the repository and the tag or digest of the container")
        return
    if not is_repository(image.repository):
        yield Fault(
            f"{field}.repository",
            f"is {image.repository!r}; expected the name of a repository in your own ECR, without a registry's address",
        )
    if image.tag is not None and not is_tag(image.tag):
        yield Fault(f"{field}.tag", f"is {image.tag!r}; expected up to 128 letters, digits, and . _ -")
