"""What `rerank local status` shows of endpoints and their containers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rerank_toolkit.local_sagemaker.sagemaker.components import Component
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member


def describe_endpoints(endpoints: Iterable[Endpoint], components: Iterable[Component]) -> list[dict[str, Any]]:
    placed = list(components)
    return [
        {
            "name": endpoint.name,
            "status": endpoint.status,
            "config": endpoint.config,
            "failure_reason": endpoint.failure,
            "containers": [
                *(container for member in _members(endpoint) for container in _container(member)),
                *(
                    container
                    for component in placed
                    if component.endpoint is endpoint
                    for member in component.traffic.sides
                    for container in _container(member)
                ),
            ],
        }
        for endpoint in endpoints
    ]


def _members(endpoint: Endpoint) -> list[Member]:
    return [member for fleet in endpoint.traffic.sides for member in fleet.everyone]


def _container(member: Member) -> list[dict[str, Any]]:
    """None for a variant of no instances, or one that only hosts components."""
    running = member.running
    if running is None:
        return []
    return [
        {
            "variant": member.name,
            "instance": "inference component" if member.is_component else member.settings.get("InstanceType"),
            "pid": running.container.pid,
            "port": running.container.port,
            "log": str(running.container.log),
        }
    ]
