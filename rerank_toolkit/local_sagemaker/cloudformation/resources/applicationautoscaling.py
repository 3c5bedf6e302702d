"""Application Auto Scaling: bounds and policies are kept, nothing is scaled on one machine."""

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

_TARGET_KEY = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def _put_target(request: Request) -> Made:
    properties = request.properties
    parameters = request.without("RoleARN", "Tags")
    if tags := tags_of(properties):  # taken and dropped: moto has nothing that would show them
        parameters["Tags"] = tags
    answer = request.call("application-autoscaling", "register_scalable_target", parameters)
    physical_id = "|".join(str(properties[name]) for name in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
    return Made(physical_id, {"Id": physical_id, "ARN": answer["ScalableTargetARN"]})


def _delete_target(request: Request) -> None:
    request.call("application-autoscaling", "deregister_scalable_target", request.pick(*_TARGET_KEY))


def _policy_parameters(request: Request) -> dict[str, Any]:
    parameters = request.without("ScalingTargetId")
    if target := request.properties.get("ScalingTargetId"):
        resource, dimension, namespace = str(target).split("|")
        parameters |= {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}
    return parameters


def _put_policy(request: Request) -> Made:
    answer = request.call("application-autoscaling", "put_scaling_policy", _policy_parameters(request))
    return Made(answer["PolicyARN"], {"Arn": answer["PolicyARN"]})


def _update_policy(request: Request) -> Mapping[str, Any]:
    return _put_policy(request).attributes


def _delete_policy(request: Request) -> None:
    parameters = _policy_parameters(request)
    key = {name: parameters[name] for name in ("PolicyName", *_TARGET_KEY)}
    request.call("application-autoscaling", "delete_scaling_policy", key)


TYPES = {
    "AWS::ApplicationAutoScaling::ScalableTarget": ResourceType(
        create=_put_target,
        update=lambda request: _put_target(request).attributes,
        delete=absent_is_fine(_delete_target, "ObjectNotFoundException"),
        immutable=frozenset(_TARGET_KEY),
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": ResourceType(
        create=_put_policy,
        update=_update_policy,
        delete=absent_is_fine(_delete_policy, "ObjectNotFoundException", "ValidationException"),
        immutable=frozenset({"PolicyName", "ScalingTargetId", *_TARGET_KEY}),
    ),
}
