"""An endpoint: what is asked of it, and who answers for it.

Creating ──healthy──► InService ──update──► Updating ──healthy, no alarm──► InService (new containers)
    │                     │                    └──failed──► (RollingBack) ──► InService (old containers, FailureReason)
    └──failed──► Failed ◄─┘ its container died
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from rerank_toolkit.local_sagemaker.sagemaker.fleets import Fleet, Member, Traffic

if TYPE_CHECKING:
    from rerank_toolkit.local_sagemaker.sagemaker.async_queue import AsyncQueue


@dataclass
class Pending:
    """A deployment under way."""

    fleet: Fleet
    stage: str = "Creating"
    """In VariantStatus's words."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    stage_started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def reach(self, stage: str) -> None:
        self.stage, self.stage_started = stage, datetime.now(UTC)


@dataclass(eq=False)
class Endpoint:
    name: str
    arn: str
    config: str
    asynchronous: Mapping[str, Any] | None = None
    """The configuration's AsyncInferenceConfig."""
    queue: AsyncQueue | None = None
    deployment: Mapping[str, Any] | None = None
    """The last DeploymentConfig."""
    status: str = "Creating"
    failure: str | None = None
    traffic: Traffic[Fleet] = field(default_factory=Traffic)
    pending: Pending | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    cancelled: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)
    """For whoever changes the status or the fleet by what they are now."""

    @property
    def fleet(self) -> Fleet | None:
        """The one that answers, apart from a rollout."""
        return self.traffic.present

    @property
    def hosts_components(self) -> bool:
        """Whether its models are inference components."""
        fleet = self.fleet
        return fleet is not None and fleet.hosts_components

    @property
    def instances(self) -> int:
        fleet = self.fleet
        return sum(member.count for member in fleet.members) if fleet else 0

    def pick(self, variant: str | None = None) -> tuple[Fleet, Member] | None:
        """Who answers the next request; None if nobody does, or no variant has that name."""
        fleet = self.traffic.pick()
        member = fleet.pick(variant) if fleet else None
        return (fleet, member) if fleet and member else None

    def settle(self, status: str, failure: str | None = None) -> None:
        self.status, self.failure, self.modified = status, failure, datetime.now(UTC)
