"""CloudWatch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceType,
    absent_is_fine,
    json_text,
)


def _alarm(operation: str) -> ResourceType:
    """A kind of alarm, by the operation that puts it."""

    def put(request: Request) -> Made:
        name = request.physical_id or request.properties.get("AlarmName") or request.name(255)
        request.call("cloudwatch", operation, {**request.properties, "AlarmName": name})
        return Made(name, {"Arn": f"arn:aws:cloudwatch:{request.region}:{request.account}:alarm:{name}"})

    return ResourceType(create=put, update=_updating(put), delete=_delete_alarm, immutable=frozenset({"AlarmName"}))


def _updating(put: Callable[[Request], Made]) -> Callable[[Request], Mapping[str, Any]]:
    def update(request: Request) -> Mapping[str, Any]:
        attributes = put(request).attributes
        request.retag("cloudwatch", {"ResourceARN": attributes["Arn"]})
        return attributes

    return update


def _delete_alarm(request: Request) -> None:
    request.call("cloudwatch", "delete_alarms", {"AlarmNames": [request.physical_id]})


def _put_dashboard(request: Request) -> Made:
    name = request.physical_id or request.properties.get("DashboardName") or request.name(255)
    body = json_text(request.properties["DashboardBody"])
    request.call("cloudwatch", "put_dashboard", {"DashboardName": name, "DashboardBody": body})
    return Made(name)


def _delete_dashboard(request: Request) -> None:
    request.call("cloudwatch", "delete_dashboards", {"DashboardNames": [request.physical_id]})


TYPES = {
    "AWS::CloudWatch::Alarm": _alarm("put_metric_alarm"),
    "AWS::CloudWatch::CompositeAlarm": _alarm("put_composite_alarm"),
    "AWS::CloudWatch::Dashboard": ResourceType(
        create=_put_dashboard,
        update=lambda request: _put_dashboard(request).attributes,
        delete=absent_is_fine(_delete_dashboard, "ResourceNotFound"),
        immutable=frozenset({"DashboardName"}),
    ),
}
