"""SageMaker: models and configurations are replaced when they change, endpoints and inference components move from one
version to the next.

Ref gives an ARN, as on AWS: a template that takes it for a name fails here as it would there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceFailed,
    ResourceType,
    standing,
)

_LONGEST_NAME = 63
_MOVING = ("Creating", "Updating", "RollingBack", "SystemUpdating")
_POLL_S = 0.05


def _create_model(request: Request) -> Made:
    name = request.properties.get("ModelName") or request.name(_LONGEST_NAME)
    arn = request.call("sagemaker", "create_model", {**request.properties, "ModelName": name})["ModelArn"]
    return Made(arn, {"ModelName": name, "ModelArn": arn})


def _delete_model(request: Request) -> None:
    request.call("sagemaker", "delete_model", {"ModelName": request.attributes["ModelName"]})


def _create_config(request: Request) -> Made:
    name = request.properties.get("EndpointConfigName") or request.name(_LONGEST_NAME)
    parameters = {**request.properties, "EndpointConfigName": name}
    arn = request.call("sagemaker", "create_endpoint_config", parameters)["EndpointConfigArn"]
    return Made(arn, {"EndpointConfigName": name, "EndpointConfigArn": arn})


def _delete_config(request: Request) -> None:
    config = {"EndpointConfigName": request.attributes["EndpointConfigName"]}
    request.call("sagemaker", "delete_endpoint_config", config)


def _create_endpoint(request: Request) -> Made:
    name = request.properties.get("EndpointName") or request.name(_LONGEST_NAME)
    parameters = {"EndpointName": name, **request.pick("EndpointConfigName", "DeploymentConfig", "Tags")}
    arn = request.call("sagemaker", "create_endpoint", parameters)["EndpointArn"]
    with standing(Made(arn, {"EndpointName": name, "EndpointArn": arn})) as made:
        endpoint = _settled_endpoint(request, name)
        if endpoint["EndpointStatus"] != "InService":
            raise ResourceFailed(endpoint.get("FailureReason", "the endpoint did not come into service"))
    return made


def _update_endpoint(request: Request) -> Mapping[str, Any]:
    name, wanted = request.attributes["EndpointName"], request.properties["EndpointConfigName"]
    _retag(request)
    if _describe_endpoint(request, name)["EndpointConfigName"] == wanted:
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
    endpoint = _settled_endpoint(request, name)
    if endpoint["EndpointStatus"] != "InService" or endpoint["EndpointConfigName"] != wanted:
        raise ResourceFailed(endpoint.get("FailureReason", "the endpoint did not come back into service"))
    return {}


def _delete_endpoint(request: Request) -> None:
    request.call("sagemaker", "delete_endpoint", {"EndpointName": request.attributes["EndpointName"]})
    _if_there(_wait_for_endpoints_end)(request)


def _describe_endpoint(request: Request, name: str) -> Any:
    return request.call("sagemaker", "describe_endpoint", {"EndpointName": name})


def _settled_endpoint(request: Request, name: str) -> Any:
    """The endpoint once it has settled; the endpoint's own start-up limit ends the wait."""
    while (endpoint := _describe_endpoint(request, name))["EndpointStatus"] in _MOVING:
        time.sleep(_POLL_S)
    return endpoint


def _wait_for_endpoints_end(request: Request) -> None:
    while _describe_endpoint(request, request.attributes["EndpointName"])["EndpointStatus"] == "Deleting":
        time.sleep(_POLL_S)


_COMPONENT_CHANGES = ("Specification", "Specifications", "RuntimeConfig", "DeploymentConfig")


def _create_component(request: Request) -> Made:
    name = request.properties.get("InferenceComponentName") or request.name(_LONGEST_NAME)
    parameters = request.without("EndpointArn", "DeploymentConfig")
    if arn := request.properties.get("EndpointArn"):
        parameters.setdefault("EndpointName", _endpoint_name(request, arn))
    parameters["InferenceComponentName"] = name
    arn = request.call("sagemaker", "create_inference_component", parameters)["InferenceComponentArn"]
    with standing(Made(arn, {"InferenceComponentName": name})):
        component = _settled_component(request, name)
        if component["InferenceComponentStatus"] != "InService":
            raise ResourceFailed(component.get("FailureReason", "the component did not come into service"))
    return Made(arn, _component_attributes(component))


def _update_component(request: Request) -> Mapping[str, Any]:
    name = request.attributes["InferenceComponentName"]
    component = _describe_component(request, name)
    for prop in ("InferenceComponentName", "EndpointName", "EndpointArn", "VariantName"):
        if request.properties.get(prop, component[prop]) != component[prop]:
            raise ResourceFailed(f"SageMaker can't change {prop} of an inference component; give it another logical id")
    _retag(request)
    if any(request.previous.get(prop) != request.properties.get(prop) for prop in _COMPONENT_CHANGES):
        parameters = {"InferenceComponentName": name, **request.pick(*_COMPONENT_CHANGES)}
        request.call("sagemaker", "update_inference_component", parameters)
    component = _settled_component(request, name)
    if component["InferenceComponentStatus"] != "InService" or component.get("FailureReason"):
        raise ResourceFailed(component.get("FailureReason", "the component did not come back into service"))
    return _component_attributes(component)


def _delete_component(request: Request) -> None:
    name = {"InferenceComponentName": request.attributes["InferenceComponentName"]}
    request.call("sagemaker", "delete_inference_component", name)
    _if_there(_wait_for_components_end)(request)


def _settled_component(request: Request, name: str) -> Any:
    while (component := _describe_component(request, name))["InferenceComponentStatus"] in _MOVING:
        time.sleep(_POLL_S)
    return component


def _wait_for_components_end(request: Request) -> None:
    name = request.attributes["InferenceComponentName"]
    while _describe_component(request, name)["InferenceComponentStatus"] == "Deleting":
        time.sleep(_POLL_S)


def _describe_component(request: Request, name: str) -> Any:
    return request.call("sagemaker", "describe_inference_component", {"InferenceComponentName": name})


def _component_attributes(component: Mapping[str, Any]) -> dict[str, Any]:
    """What a template may ask of it, and its name, which later calls need."""
    names = ("InferenceComponentName", "InferenceComponentArn", "InferenceComponentStatus", "FailureReason")
    attributes = {name: component[name] for name in names if name in component}
    for time_name in ("CreationTime", "LastModifiedTime"):
        attributes[time_name] = component[time_name].isoformat()
    copies = component.get("RuntimeConfig", {})
    for name in ("CurrentCopyCount", "DesiredCopyCount"):
        if name in copies:
            attributes[f"RuntimeConfig.{name}"] = copies[name]
    return attributes


def _endpoint_name(request: Request, arn: str) -> str:
    """An ARN has the name in lower case: only the list knows how it is written."""
    for page in request.clients("sagemaker").get_paginator("list_endpoints").paginate():
        for endpoint in page["Endpoints"]:
            if endpoint["EndpointArn"] == arn:
                return str(endpoint["EndpointName"])
    raise ResourceFailed(f"there is no endpoint {arn}")


def _retag(request: Request) -> Mapping[str, Any]:
    """All that can be changed of a model or a configuration."""
    request.retag("sagemaker", {"ResourceArn": request.physical_id}, put="add_tags", drop="delete_tags")
    return {}


def _if_there(step: Callable[[Request], None]) -> Callable[[Request], None]:
    """The step, satisfied if there is no such thing any more. SageMaker says so with the code of every other refusal:
    only the message tells."""

    def wrapped(request: Request) -> None:
        try:
            step(request)
        except ClientError as error:
            if "Could not find" not in error.response["Error"]["Message"]:
                raise

    return wrapped


TYPES = {
    "AWS::SageMaker::Model": ResourceType(
        create=_create_model,
        update=_retag,
        delete=_if_there(_delete_model),
        immutable=frozenset(
            {
                "Containers",
                "EnableNetworkIsolation",
                "ExecutionRoleArn",
                "InferenceExecutionConfig",
                "ModelName",
                "PrimaryContainer",
                "VpcConfig",
            }
        ),
    ),
    "AWS::SageMaker::EndpointConfig": ResourceType(
        create=_create_config,
        update=_retag,
        delete=_if_there(_delete_config),
        immutable=frozenset(
            {
                "AsyncInferenceConfig",
                "DataCaptureConfig",
                "EnableNetworkIsolation",
                "EndpointConfigName",
                "ExecutionRoleArn",
                "ExplainerConfig",
                "KmsKeyId",
                "MetricsConfig",
                "ProductionVariants",
                "ShadowProductionVariants",
                "VpcConfig",
            }
        ),
    ),
    "AWS::SageMaker::Endpoint": ResourceType(
        create=_create_endpoint,
        update=_update_endpoint,
        delete=_if_there(_delete_endpoint),
        immutable=frozenset({"EndpointName"}),
    ),
    "AWS::SageMaker::InferenceComponent": ResourceType(
        create=_create_component,
        update=_update_component,
        delete=_if_there(_delete_component),
    ),
}
