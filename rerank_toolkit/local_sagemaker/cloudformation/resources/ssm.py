"""Systems Manager's parameter store."""

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

_FIELDS = ("Type", "Value", "Description", "Tier", "AllowedPattern", "DataType")


def _create_parameter(request: Request) -> Made:
    name = request.properties.get("Name") or request.name(512)
    tags = [{"Key": key, "Value": value} for key, value in tags_of(request.properties).items()]
    request.call("ssm", "put_parameter", {"Name": name, **request.pick(*_FIELDS), "Tags": tags})
    return Made(name, request.pick("Type", "Value"))


def _update_parameter(request: Request) -> Mapping[str, Any]:
    request.call("ssm", "put_parameter", {"Name": request.physical_id, **request.pick(*_FIELDS), "Overwrite": True})
    resource = {"ResourceType": "Parameter", "ResourceId": request.physical_id}
    request.retag("ssm", resource, put="add_tags_to_resource", drop="remove_tags_from_resource")
    return request.pick("Type", "Value")


def _delete_parameter(request: Request) -> None:
    request.call("ssm", "delete_parameter", {"Name": request.physical_id})


TYPES = {
    "AWS::SSM::Parameter": ResourceType(
        create=_create_parameter,
        update=_update_parameter,
        delete=absent_is_fine(_delete_parameter, "ParameterNotFound"),
        immutable=frozenset({"Name"}),
    )
}
