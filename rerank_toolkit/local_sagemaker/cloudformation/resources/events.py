"""EventBridge's rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceType,
    absent_is_fine,
    json_text,
    standing,
)

_GONE = "ResourceNotFoundException"


def _create_rule(request: Request) -> Made:
    name = request.properties.get("Name") or request.name(64)
    arn = _put_rule(request, name)
    with standing(Made(name, {"Arn": arn, "RuleName": name})) as made:
        _put_targets(request, name)
    return made


def _update_rule(request: Request) -> Mapping[str, Any]:
    name = request.physical_id
    arn = _put_rule(request, name)
    _put_targets(request, name)
    kept = _target_ids(request.properties)
    if dropped := sorted(_target_ids(request.previous) - kept):
        request.call("events", "remove_targets", {"Rule": name, **request.pick("EventBusName"), "Ids": dropped})
    request.retag("events", {"ResourceARN": arn})
    return {"Arn": arn}


def _put_rule(request: Request, name: str) -> str:
    parameters = request.without("EventPattern", "Targets", "Tags") | {"Name": name}
    if pattern := request.properties.get("EventPattern"):
        parameters["EventPattern"] = json_text(pattern)
    if not request.physical_id:  # later they are changed by themselves
        parameters |= request.pick("Tags")
    return str(request.call("events", "put_rule", parameters)["RuleArn"])


def _put_targets(request: Request, name: str) -> None:
    if targets := request.properties.get("Targets"):
        request.call("events", "put_targets", {"Rule": name, **request.pick("EventBusName"), "Targets": targets})


def _target_ids(properties: Mapping[str, Any]) -> set[str]:
    return {target["Id"] for target in properties.get("Targets", ())}


def _delete_rule(request: Request) -> None:
    bus = request.pick("EventBusName")
    if ids := sorted(_target_ids(request.properties)):
        request.call("events", "remove_targets", {"Rule": request.physical_id, **bus, "Ids": ids})
    request.call("events", "delete_rule", {"Name": request.physical_id, **bus})


TYPES = {
    "AWS::Events::Rule": ResourceType(
        create=_create_rule,
        update=_update_rule,
        delete=absent_is_fine(_delete_rule, _GONE),
        immutable=frozenset({"Name", "EventBusName"}),
    )
}
