"""Creating, updating, scaling and deleting endpoints, each in a thread of its own; the status tells how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint, Pending
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Fleet, Member
from rerank_toolkit.local_sagemaker.sagemaker.host import Host
from rerank_toolkit.local_sagemaker.sagemaker.rollout import Rollout
from rerank_toolkit.local_sagemaker.sagemaker.transitions import Transitions, run


@dataclass(frozen=True, slots=True)
class Change:
    """Of one variant's weight and capacity; None leaves it as it is."""

    member: Member
    weight: float | None = None
    count: int | None = None
    serverless: Mapping[str, Any] | None = None


class Deployments:
    def __init__(self, host: Host, transitions: Transitions) -> None:
        self._host = host
        self._transitions = transitions

    def deploy(
        self, endpoint: Endpoint, fleet: Fleet, rollout: Rollout, asynchronous: Mapping[str, Any] | None = None
    ) -> None:
        """Brings a new endpoint into service, or an old one to another fleet."""
        endpoint.pending = Pending(fleet)
        run(f"deploy {endpoint.name}", lambda: self._deploy(endpoint, fleet, rollout, asynchronous))

    def change(self, endpoint: Endpoint, changes: Iterable[Change]) -> None:
        """Other weights and counts; the endpoint's status is Updating already."""
        wanted = tuple(changes)
        for change in wanted:
            change.member.desired_weight = change.weight
            change.member.desired_count = change.count
        run(f"change {endpoint.name}", lambda: self._change(endpoint, wanted))

    def remove(self, endpoint: Endpoint, forget: Callable[[], None]) -> None:
        """Stops the endpoint's containers and calls `forget` once they are gone."""
        with endpoint.lock:
            if endpoint.status == "Deleting":
                return
            endpoint.settle("Deleting")
            endpoint.cancelled.set()

        def remove() -> None:
            self._host.retire(self.dismantle(endpoint))
            forget()

        run(f"remove {endpoint.name}", remove)

    @staticmethod
    def dismantle(endpoint: Endpoint) -> list[Member]:
        """Takes its members away, for the caller to retire."""
        endpoint.cancelled.set()
        if endpoint.queue is not None:
            endpoint.queue.close()
        with endpoint.lock:
            sides = endpoint.traffic.sides
            endpoint.traffic.present = endpoint.traffic.incoming = None
        return [member for fleet in sides for member in fleet.everyone]

    def _deploy(
        self, endpoint: Endpoint, fleet: Fleet, rollout: Rollout, asynchronous: Mapping[str, Any] | None
    ) -> None:
        why = self._transitions.move(
            endpoint.traffic,
            fleet,
            fleet.everyone,
            owner=endpoint.name,
            rollout=rollout,
            cancelled=endpoint.cancelled,
            tell=lambda stage: endpoint.pending.reach(stage) if endpoint.pending else None,
        )
        if why is not None:
            updating = endpoint.fleet is not None
            if updating:
                self._settle(endpoint, "RollingBack", why)
            self._host.retire(fleet.everyone, None if updating else 1.0)
            self._settle(endpoint, "InService" if endpoint.fleet else "Failed", why)
            return
        with endpoint.lock:
            outdated = endpoint.traffic.present
            if endpoint.cancelled.is_set():  # deleted just now; the deletion has stopped the fleet that it found
                outdated = fleet
            else:
                endpoint.traffic.present = fleet
                endpoint.config, endpoint.asynchronous = fleet.config, asynchronous
                endpoint.pending = None
                endpoint.settle("InService")
            endpoint.traffic.incoming, endpoint.traffic.share = None, 0.0
        if outdated is not None:
            self._host.retire(outdated.everyone)

    def _change(self, endpoint: Endpoint, changes: tuple[Change, ...]) -> None:
        reasons = []
        for change in changes:
            member = change.member
            if change.count is not None:
                reasons.append(
                    self._transitions.resize(member, change.count, owner=endpoint.name, cancelled=endpoint.cancelled)
                )
            if change.weight is not None:
                member.weight = change.weight
            if change.serverless is not None:
                member.serverless = change.serverless
            member.desired_weight = member.desired_count = None
        self._settle(endpoint, "InService", "; ".join(filter(None, reasons)) or None)
        if endpoint.queue is not None:
            endpoint.queue.wake()

    @staticmethod
    def _settle(endpoint: Endpoint, status: str, why: str | None) -> None:
        with endpoint.lock:
            if not endpoint.cancelled.is_set():
                endpoint.settle(status, why)
                if status != "RollingBack":
                    endpoint.pending = None
