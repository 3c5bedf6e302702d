"""Which images can run here: no container engine is needed, so only those whose program this installation has."""

from __future__ import annotations

import re

from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.clients import Clients

REPOSITORY = "rerank-toolkit"
_URI = re.compile(
    r"(?P<registry>\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?)/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[\w.-]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class UnknownImage(Exception):
    """The image can't be run here; the text says which could."""


def check_image(clients: Clients, uri: str) -> str:
    """The image by its digest. Raises UnknownImage unless `uri`, which has a tag or a digest, is in the toolkit's
    repository of the local registry."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise UnknownImage(f"image {uri!r} is no ECR image; {_known(clients)}")
    if match["repository"] != REPOSITORY:
        raise UnknownImage(
            f"image {uri!r} can't be run by the local AWS: no container engine is used here; {_known(clients)}"
        )
    image = {"imageDigest": match["digest"]} if match["digest"] else {"imageTag": match["tag"] or "latest"}
    try:
        (found,) = clients("ecr").describe_images(repositoryName=REPOSITORY, imageIds=[image])["imageDetails"]
    except ClientError:
        raise UnknownImage(f"image {uri!r} is not in the local registry; {_known(clients)}") from None
    return f"{match['registry']}/{REPOSITORY}@{found['imageDigest']}"


def _known(clients: Clients) -> str:
    images = clients("ecr").describe_images(repositoryName=REPOSITORY)["imageDetails"]
    tags = sorted(tag for image in images for tag in image.get("imageTags", ()))
    return f"it has {', '.join(f'{REPOSITORY}:{tag}' for tag in tags)}"
