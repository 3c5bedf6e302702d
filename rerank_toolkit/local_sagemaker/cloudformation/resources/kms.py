"""KMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceType,
    absent_is_fine,
    json_text,
    tags_of,
)


def _create_key(request: Request) -> Made:
    parameters: dict[str, Any] = request.pick("Description", "KeyUsage", "KeySpec", "MultiRegion", "Origin")
    if policy := request.properties.get("KeyPolicy"):
        parameters["Policy"] = json_text(policy)
    parameters["Tags"] = _tag_list(tags_of(request.properties))
    key = request.call("kms", "create_key", parameters)["KeyMetadata"]
    if _wants_rotation(request.properties):
        request.call("kms", "enable_key_rotation", {"KeyId": key["KeyId"]})
    return Made(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})


def _update_key(request: Request) -> Mapping[str, Any]:
    key = {"KeyId": request.physical_id}
    if policy := request.properties.get("KeyPolicy"):
        request.call("kms", "put_key_policy", {**key, "PolicyName": "default", "Policy": json_text(policy)})
    description = request.properties.get("Description", "")
    request.call("kms", "update_key_description", {**key, "Description": description})
    rotation = "enable_key_rotation" if _wants_rotation(request.properties) else "disable_key_rotation"
    request.call("kms", rotation, key)
    request.retag("kms", key, encode=_tag_list)
    return {}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]


def _wants_rotation(properties: Mapping[str, Any]) -> bool:
    return str(properties.get("EnableKeyRotation", "false")).lower() == "true"


def _delete_key(request: Request) -> None:
    window = request.properties.get("PendingWindowInDays", 7)
    request.call("kms", "schedule_key_deletion", {"KeyId": request.physical_id, "PendingWindowInDays": window})


def _create_alias(request: Request) -> Made:
    request.call("kms", "create_alias", request.pick("AliasName", "TargetKeyId"))
    return Made(request.properties["AliasName"])


def _update_alias(request: Request) -> Mapping[str, Any]:
    request.call("kms", "update_alias", request.pick("AliasName", "TargetKeyId"))
    return {}


def _delete_alias(request: Request) -> None:
    request.call("kms", "delete_alias", {"AliasName": request.physical_id})


TYPES = {
    "AWS::KMS::Key": ResourceType(
        create=_create_key,
        update=_update_key,
        delete=absent_is_fine(_delete_key, "NotFoundException"),
        immutable=frozenset({"KeySpec", "KeyUsage", "MultiRegion", "Origin"}),
    ),
    "AWS::KMS::Alias": ResourceType(
        create=_create_alias,
        update=_update_alias,
        delete=absent_is_fine(_delete_alias, "NotFoundException"),
        immutable=frozenset({"AliasName"}),
    ),
}
