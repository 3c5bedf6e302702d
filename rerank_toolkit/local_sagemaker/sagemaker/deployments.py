"""Creating, updating, scaling and deleting endpoints, each in a thread of its own; the status tells how far it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any

from rerank_toolkit.local_sagemaker.alarms.watcher import Alarms
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint, Pending
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Fleet, Member
from rerank_toolkit.local_sagemaker.sagemaker.host import START_FAILURES, Host
from rerank_toolkit.local_sagemaker.sagemaker.rollout import Rollout, shift

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """Of one variant's weight and capacity; None leaves it as it is."""

    member: Member
    weight: float | None = None
    count: int | None = None
    serverless: Mapping[str, Any] | None = None


class Deployments:
    def __init__(self, host: Host, alarms: Alarms, *, longest_wait_s: float) -> None:
        self._host = host
        self._alarms = alarms
        self._longest_wait_s = longest_wait_s

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
            self._host.stop(self.dismantle(endpoint))
            forget()

        run(f"remove {endpoint.name}", remove)

    @staticmethod
    def dismantle(endpoint: Endpoint) -> list[Member]:
        """Takes its members away, for the caller to stop."""
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
        why = self._start(endpoint, fleet)
        if why is None and endpoint.fleet is not None:
            why = shift(
                endpoint.traffic,
                fleet,
                rollout,
                trouble=lambda scale: describe_dead(fleet.members) or self._alarms.ringing(rollout.alarms, scale=scale),
                cancelled=endpoint.cancelled,
                longest_wait_s=self._longest_wait_s,
                tell=lambda stage: endpoint.pending.reach(stage) if endpoint.pending else None,
            )
            if why is not None:
                self._settle(endpoint, "RollingBack", why)
        if why is not None:
            self._host.stop(fleet.everyone, grace_s=None if endpoint.fleet else 1.0)
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
            self._host.stop(outdated.everyone)

    def _start(self, endpoint: Endpoint, fleet: Fleet) -> str | None:
        """Why the fleet could not be started; None if it runs."""
        try:
            self._host.start(endpoint.name, fleet.everyone, endpoint.cancelled)
        except Exception as error:  # whatever it is, it must end up in the endpoint's FailureReason
            if not isinstance(error, START_FAILURES):
                logger.exception("deploying endpoint %s", endpoint.name)
            return str(error)
        return None

    def _change(self, endpoint: Endpoint, changes: tuple[Change, ...]) -> None:
        why = None
        for change in changes:
            member = change.member
            before = member.count
            try:
                if change.count is not None:
                    member.count = change.count
                    if change.count == 0:
                        self._host.stop([member])
                    else:
                        self._host.start(endpoint.name, [member], endpoint.cancelled)
                if change.weight is not None:
                    member.weight = change.weight
                if change.serverless is not None:
                    member.serverless = change.serverless
            except Exception as error:  # as in _start
                if not isinstance(error, START_FAILURES):
                    logger.exception("changing endpoint %s", endpoint.name)
                why = str(error)
                member.count = before
                if before == 0:
                    self._host.stop([member], 1.0)
            finally:
                member.desired_weight = member.desired_count = None
        self._settle(endpoint, "InService", why)
        if endpoint.queue is not None:
            endpoint.queue.wake()

    @staticmethod
    def _settle(endpoint: Endpoint, status: str, why: str | None) -> None:
        with endpoint.lock:
            if not endpoint.cancelled.is_set():
                endpoint.settle(status, why)
                if status != "RollingBack":
                    endpoint.pending = None


def describe_dead(members: Iterable[Member]) -> str | None:
    """Of the first container that has ended by itself, how; None if all run."""
    for member in members:
        running = member.running
        if running is not None and not running.stopping and running.container.exit_code is not None:
            return running.container.describe_exit()
    return None


def run(name: str, work: Callable[[], None]) -> None:
    Thread(target=work, name=name, daemon=True).start()
