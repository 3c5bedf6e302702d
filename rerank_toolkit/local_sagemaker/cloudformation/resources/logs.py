"""CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceType,
    absent_is_fine,
    standing,
    tags_of,
)

_GONE = "ResourceNotFoundException"


def _create_group(request: Request) -> Made:
    name = request.properties.get("LogGroupName") or request.name(512)
    parameters: dict[str, Any] = {"logGroupName": name}
    if key := request.properties.get("KmsKeyId"):
        parameters["kmsKeyId"] = key
    parameters["tags"] = tags_of(request.properties)
    request.call("logs", "create_log_group", parameters)
    with standing(Made(name, {"Arn": f"{_arn(request, name)}:*"})) as made:
        _put_retention(request, name)
    return made


def _update_group(request: Request) -> Mapping[str, Any]:
    name = request.physical_id
    _put_retention(request, name)
    key = request.properties.get("KmsKeyId")
    if key != request.previous.get("KmsKeyId"):
        group = {"logGroupName": name}
        if key:
            request.call("logs", "associate_kms_key", {**group, "kmsKeyId": key})
        else:
            request.call("logs", "disassociate_kms_key", group)
    resource = {"resourceArn": _arn(request, name)}
    request.retag("logs", resource, tags="tags", keys="tagKeys", encode=dict)
    return {}


def _arn(request: Request, name: str) -> str:
    return f"arn:aws:logs:{request.region}:{request.account}:log-group:{name}"


def _put_retention(request: Request, name: str) -> None:
    if days := request.properties.get("RetentionInDays"):
        request.call("logs", "put_retention_policy", {"logGroupName": name, "retentionInDays": days})
    elif request.previous.get("RetentionInDays"):
        request.call("logs", "delete_retention_policy", {"logGroupName": name})


def _delete_group(request: Request) -> None:
    request.call("logs", "delete_log_group", {"logGroupName": request.physical_id})


TYPES = {
    "AWS::Logs::LogGroup": ResourceType(
        create=_create_group,
        update=_update_group,
        delete=absent_is_fine(_delete_group, _GONE),
        immutable=frozenset({"LogGroupName"}),
    )
}
