"""The CDK's analytics record, which AWS itself makes nothing of."""

from __future__ import annotations

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import Made, Request, ResourceType


def _create_metadata(request: Request) -> Made:
    return Made(request.name(64))


def _delete_metadata(_: Request) -> None:
    """Nothing was made."""


TYPES = {"AWS::CDK::Metadata": ResourceType(create=_create_metadata, update=lambda _: {}, delete=_delete_metadata)}
