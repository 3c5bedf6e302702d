"""An inference component: a model on an endpoint that brings the instances.

Creating ──healthy──► InService ──update──► Updating ──healthy, no alarm──► InService (new copies)
    └──failed──► Failed                        └──failed──► InService (old copies, with a FailureReason)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock
from typing import Any

from rerank_toolkit.local_sagemaker.sagemaker.describe import deployed_image
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member, Traffic


@dataclass(eq=False)
class Component:
    name: str
    arn: str
    endpoint: Endpoint
    variant: str
    specification: Mapping[str, Any]
    desired_copies: int
    deployment: Mapping[str, Any] | None = None
    """The last DeploymentConfig."""
    status: str = "Creating"
    failure: str | None = None
    traffic: Traffic[Member] = field(default_factory=Traffic)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    cancelled: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    def settle(self, status: str, failure: str | None = None) -> None:
        self.status, self.failure, self.modified = status, failure, datetime.now(UTC)

    def summarize(self) -> dict[str, Any]:
        return {
            "InferenceComponentName": self.name,
            "InferenceComponentArn": self.arn,
            "EndpointName": self.endpoint.name,
            "EndpointArn": self.endpoint.arn,
            "VariantName": self.variant,
            "InferenceComponentStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
        }

    def describe(self) -> dict[str, Any]:
        present = self.traffic.present
        described = {
            **self.summarize(),
            "FailureReason": self.failure,
            "Specification": self._specification(present),
            "RuntimeConfig": {
                "DesiredCopyCount": self.desired_copies,
                "CurrentCopyCount": present.count if present else 0,
            },
            "LastDeploymentConfig": self.deployment,
        }
        return {name: value for name, value in described.items() if value is not None}

    def _specification(self, member: Member | None) -> dict[str, Any]:
        shown = {name: value for name, value in self.specification.items() if name != "Container"}
        container = self.specification.get("Container", {})
        summary = {name: value for name, value in container.items() if name != "Image"}
        if member is not None and member.model:
            summary["DeployedImage"] = deployed_image(member)
        return {**shown, "Container": summary} if summary else shown


def member_of_component(component: Component, model: Mapping[str, Any], *, copies: int) -> Member:
    specification = component.specification
    return Member(
        name=component.name,
        model=model,
        count=copies,
        settings=specification.get("StartupParameters", {}),
        is_component=True,
        places=({"InferenceComponentName": component.name},),
    )
