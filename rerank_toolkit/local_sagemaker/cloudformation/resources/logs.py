"""CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceType,
    absent_is_fine,
    tags_of,
)


def _create_group(request: Request) -> Made:
    name = request.properties.get("LogGroupName") or request.name(512)
    parameters: dict[str, Any] = {"logGroupName": name}
    if key := request.properties.get("KmsKeyId"):
        parameters["kmsKeyId"] = key
    parameters["tags"] = tags_of(request.properties)
    request.call("logs", "create_log_group", parameters)
    _put_retention(request, name)
    return Made(name, {"Arn": f"{_arn(request, name)}:*"})


def _update_group(request: Request) -> Mapping[str, Any]:
    _put_retention(request, request.physical_id)
    resource = {"resourceArn": _arn(request, request.physical_id)}
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
        delete=absent_is_fine(_delete_group, "ResourceNotFoundException"),
        immutable=frozenset({"LogGroupName"}),
    )
}
