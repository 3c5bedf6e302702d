"""CloudWatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import Made, Request, ResourceType


def _put_alarm(request: Request) -> Made:
    name = request.physical_id or request.properties.get("AlarmName") or request.name(255)
    request.call("cloudwatch", "put_metric_alarm", {**request.properties, "AlarmName": name})
    return Made(name, {"Arn": f"arn:aws:cloudwatch:{request.region}:{request.account}:alarm:{name}"})


def _update_alarm(request: Request) -> Mapping[str, Any]:
    attributes = _put_alarm(request).attributes
    request.retag("cloudwatch", {"ResourceARN": attributes["Arn"]})
    return attributes


def _delete_alarm(request: Request) -> None:
    request.call("cloudwatch", "delete_alarms", {"AlarmNames": [request.physical_id]})


TYPES = {
    "AWS::CloudWatch::Alarm": ResourceType(
        create=_put_alarm,
        update=_update_alarm,
        delete=_delete_alarm,
        immutable=frozenset({"AlarmName"}),
    )
}
