"""What stands before the first deploy: what `cdk bootstrap` makes, and the toolkit's images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rerank_toolkit import __version__
from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.sagemaker.images import REPOSITORY

QUALIFIER = "hnb659fds"
"""The CDK's default; an app with a qualifier of its own needs a `cdk bootstrap` of its own."""

BOOTSTRAP_VERSION = "30"
IMAGE_TAGS = (f"cpu-{__version__}", f"gpu-{__version__}")
_ROLES = ("deploy-role", "file-publishing-role", "image-publishing-role", "lookup-role", "cfn-exec-role")


def seed(clients: Clients, *, region: str, account: str) -> None:
    """Makes it all; for a local AWS that has just started."""
    clients("ssm").put_parameter(Name=f"/cdk-bootstrap/{QUALIFIER}/version", Type="String", Value=BOOTSTRAP_VERSION)
    bucket: dict[str, Any] = {"Bucket": f"cdk-{QUALIFIER}-assets-{account}-{region}"}
    if region != "us-east-1":  # which S3 knows by no name
        bucket["CreateBucketConfiguration"] = {"LocationConstraint": region}
    clients("s3").create_bucket(**bucket)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": account, "Service": "cloudformation.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    for role in _ROLES:
        name = f"cdk-{QUALIFIER}-{role}-{account}-{region}"
        clients("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    clients("ecr").create_repository(repositoryName=f"cdk-{QUALIFIER}-container-assets-{account}-{region}")
    clients("ecr").create_repository(repositoryName=REPOSITORY)
    for tag in IMAGE_TAGS:
        _put_image(clients, tag)


def _put_image(clients: Clients, tag: str) -> None:
    """An image in name only: its tag and digest can be referred to, its program is this installation's own."""
    configuration = json.dumps({"config": {"Labels": {"tag": tag}}}).encode()
    manifest = _encode(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": _digest(configuration),
                "size": len(configuration),
            },
            "layers": [],
        }
    )
    clients("ecr").put_image(
        repositoryName=REPOSITORY, imageManifest=manifest, imageTag=tag, imageDigest=_digest(manifest.encode())
    )


def _encode(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
