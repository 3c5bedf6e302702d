"""KMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceFailed,
    ResourceType,
    absent_is_fine,
    json_text,
    standing,
    tags_of,
)


def _create_key(request: Request) -> Made:
    parameters: dict[str, Any] = request.pick("Description", *_FIXED)
    if policy := request.properties.get("KeyPolicy"):
        parameters["Policy"] = json_text(policy)
    parameters["Tags"] = _tag_list(tags_of(request.properties))
    key = request.call("kms", "create_key", parameters)["KeyMetadata"]
    with standing(Made(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})) as made:
        if _is_true(request.properties, "EnableKeyRotation"):
            _enable_rotation(request, key["KeyId"])
        if not _is_true(request.properties, "Enabled", default=True):
            request.call("kms", "disable_key", {"KeyId": key["KeyId"]})
    return made


_FIXED = {"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": False, "Origin": "AWS_KMS"}
"""Given once and for all, or what they are if nobody gives them. CloudFormation fails an update that changes one, lest
it replace the key of stored data."""


def _update_key(request: Request) -> Mapping[str, Any]:
    standing_key = request.call("kms", "describe_key", {"KeyId": request.physical_id})["KeyMetadata"]
    for name, default in _FIXED.items():
        if standing_key.get(name, default) != request.properties.get(name, default):
            raise ResourceFailed(f"{name} of a key can't be changed; make a new key under another logical id")
    key = {"KeyId": request.physical_id}
    if policy := request.properties.get("KeyPolicy"):
        request.call("kms", "put_key_policy", {**key, "PolicyName": "default", "Policy": json_text(policy)})
    description = request.properties.get("Description", "")
    request.call("kms", "update_key_description", {**key, "Description": description})
    if _is_true(request.properties, "EnableKeyRotation"):
        _enable_rotation(request, request.physical_id)
    else:
        request.call("kms", "disable_key_rotation", key)
    enabled = _is_true(request.properties, "Enabled", default=True)
    request.call("kms", "enable_key" if enabled else "disable_key", key)
    request.retag("kms", key, encode=_tag_list)
    return {}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]


def _enable_rotation(request: Request, key: str) -> None:
    request.call("kms", "enable_key_rotation", {"KeyId": key, **request.pick("RotationPeriodInDays")})


def _is_true(properties: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    return str(properties.get(name, default)).lower() == "true"


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
    ),
    "AWS::KMS::Alias": ResourceType(
        create=_create_alias,
        update=_update_alias,
        delete=absent_is_fine(_delete_alias, "NotFoundException"),
        immutable=frozenset({"AliasName"}),
    ),
}
