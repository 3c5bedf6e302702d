"""How an image in the account's own ECR is named."""

from __future__ import annotations

import re

from rerank_toolkit.contracts.plan import Image

_REPOSITORY = re.compile(r"[a-z0-9]+([._/-][a-z0-9]+)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_repository(name: str) -> bool:
    """Whether ECR has repositories of this name. A registry's address before it says whose, which is ours to say."""
    return bool(_REPOSITORY.fullmatch(name)) and ".dkr.ecr." not in name


def is_tag(name: str) -> bool:
    return bool(_TAG.fullmatch(name))


def parse_image(text: str) -> Image | None:
    """The image that REPOSITORY:TAG or REPOSITORY@sha256:… names; None for anything else."""
    repository, _, digest = text.partition("@")
    if is_repository(repository) and _DIGEST.fullmatch(digest):
        return Image(repository=repository, digest=digest)
    repository, _, tag = text.partition(":")
    if is_repository(repository) and is_tag(tag):
        return Image(repository=repository, tag=tag)
    return None
