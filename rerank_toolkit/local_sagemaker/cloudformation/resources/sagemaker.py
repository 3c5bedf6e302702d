"""SageMaker: models and configurations are replaced when they change, endpoints move from one to the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceFailed,
    ResourceType,
    absent_is_fine,
)

_GONE = ("ValidationException", "ResourceNotFound")
_LONGEST_NAME = 63
_MOVING = ("Creating", "Updating", "RollingBack", "SystemUpdating")
_POLL_S = 0.05


def _create_model(request: Request) -> Made:
    name = request.properties.get("ModelName") or request.name(_LONGEST_NAME)
    arn = request.call("sagemaker", "create_model", {**request.properties, "ModelName": name})["ModelArn"]
    return Made(name, {"ModelName": name, "ModelArn": arn})


def _delete_model(request: Request) -> None:
    request.call("sagemaker", "delete_model", {"ModelName": request.physical_id})


def _create_config(request: Request) -> Made:
    name = request.properties.get("EndpointConfigName") or request.name(_LONGEST_NAME)
    parameters = {**request.properties, "EndpointConfigName": name}
    arn = request.call("sagemaker", "create_endpoint_config", parameters)["EndpointConfigArn"]
    return Made(name, {"EndpointConfigName": name, "EndpointConfigArn": arn})


def _delete_config(request: Request) -> None:
    request.call("sagemaker", "delete_endpoint_config", {"EndpointConfigName": request.physical_id})


def _create_endpoint(request: Request) -> Made:
    name = request.properties.get("EndpointName") or request.name(_LONGEST_NAME)
    parameters = {"EndpointName": name, **request.pick("EndpointConfigName", "Tags")}
    arn = request.call("sagemaker", "create_endpoint", parameters)["EndpointArn"]
    endpoint = _wait(request, name)
    if endpoint["EndpointStatus"] != "InService":
        raise ResourceFailed(endpoint.get("FailureReason", "the endpoint did not come into service"), name)
    return Made(name, {"EndpointName": name, "EndpointArn": arn})


def _update_endpoint(request: Request) -> Mapping[str, Any]:
    name, wanted = request.physical_id, request.properties["EndpointConfigName"]
    endpoint = _describe(request, name)
    request.retag("sagemaker", {"ResourceArn": endpoint["EndpointArn"]}, put="add_tags", drop="delete_tags")
    if endpoint["EndpointConfigName"] == wanted:
        return {}
    request.call(
        "sagemaker",
        "update_endpoint",
        {
            "EndpointName": name,
            **request.pick(
                "EndpointConfigName",
                "DeploymentConfig",
                "RetainAllVariantProperties",
                "ExcludeRetainedVariantProperties",
            ),
        },
    )
    endpoint = _wait(request, name)
    if endpoint["EndpointStatus"] != "InService" or endpoint["EndpointConfigName"] != wanted:
        raise ResourceFailed(endpoint.get("FailureReason", "the endpoint did not come back into service"))
    return {}


def _delete_endpoint(request: Request) -> None:
    request.call("sagemaker", "delete_endpoint", {"EndpointName": request.physical_id})
    absent_is_fine(_wait_for_deletion, *_GONE)(request)


def _describe(request: Request, name: str) -> Any:
    return request.call("sagemaker", "describe_endpoint", {"EndpointName": name})


def _wait(request: Request, name: str) -> Any:
    """The endpoint once it has settled; the endpoint's own start-up limit ends the wait."""
    while (endpoint := _describe(request, name))["EndpointStatus"] in _MOVING:
        time.sleep(_POLL_S)
    return endpoint


def _wait_for_deletion(request: Request) -> None:
    while _describe(request, request.physical_id)["EndpointStatus"] == "Deleting":
        time.sleep(_POLL_S)


TYPES = {
    "AWS::SageMaker::Model": ResourceType(create=_create_model, delete=absent_is_fine(_delete_model, *_GONE)),
    "AWS::SageMaker::EndpointConfig": ResourceType(
        create=_create_config, delete=absent_is_fine(_delete_config, *_GONE)
    ),
    "AWS::SageMaker::Endpoint": ResourceType(
        create=_create_endpoint,
        update=_update_endpoint,
        delete=absent_is_fine(_delete_endpoint, *_GONE),
        immutable=frozenset({"EndpointName"}),
    ),
}
