"""Application Auto Scaling: bounds, schedules and policies are kept, nothing is scaled on one machine."""

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

_GONE = ("ObjectNotFoundException", "ValidationException")
"""AWS's word for "no such thing", and moto's."""

_TARGET_KEY = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def _create_target(request: Request) -> Made:
    properties = request.properties
    physical_id = "|".join(str(properties[name]) for name in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
    with standing(Made(physical_id, {"Id": physical_id, "ARN": _register(request)})) as made:
        _put_schedule(request)
    return made


def _update_target(request: Request) -> Mapping[str, Any]:
    arn = _register(request)
    _put_schedule(request)
    kept = {action["ScheduledActionName"] for action in request.properties.get("ScheduledActions", ())}
    _delete_schedule(request, request.previous, kept)
    return {"ARN": arn}


def _register(request: Request) -> Any:
    parameters = request.without("RoleARN", "ScheduledActions", "Tags")
    if tags := tags_of(request.properties):  # taken and dropped: moto has nothing that would show them
        parameters["Tags"] = tags
    return request.call("application-autoscaling", "register_scalable_target", parameters)["ScalableTargetARN"]


def _put_schedule(request: Request) -> None:
    for action in request.properties.get("ScheduledActions", ()):
        request.call("application-autoscaling", "put_scheduled_action", {**request.pick(*_TARGET_KEY), **action})


def _delete_schedule(request: Request, properties: Mapping[str, Any], kept: set[str]) -> None:
    for action in properties.get("ScheduledActions", ()):
        if action["ScheduledActionName"] not in kept:
            key = {**request.pick(*_TARGET_KEY), "ScheduledActionName": action["ScheduledActionName"]}
            request.call_if_there(_GONE[0], "application-autoscaling", "delete_scheduled_action", key)


def _delete_target(request: Request) -> None:
    _delete_schedule(request, request.properties, set())
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
        create=_create_target,
        update=_update_target,
        delete=absent_is_fine(_delete_target, *_GONE),
        immutable=frozenset(_TARGET_KEY),
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": ResourceType(
        create=_put_policy,
        update=_update_policy,
        delete=absent_is_fine(_delete_policy, *_GONE),
        immutable=frozenset({"PolicyName", "ScalingTargetId", *_TARGET_KEY}),
    ),
}
