"""Endpoints: what is asked of one, and the containers that answer for it.

Creating ──healthy──► InService ──update──► Updating ──healthy──► InService (new containers, old ones stopped)
    │                     │                    └────failed────► InService (old containers, with a FailureReason)
    └──failed──► Failed ◄─┘ its container died
"""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.sagemaker.artifacts import ModelDataError, fetch
from rerank_toolkit.local_sagemaker.sagemaker.container import Container, ContainerFailed
from rerank_toolkit.local_sagemaker.sagemaker.images import UnknownImage, check_image

logger = logging.getLogger(__name__)

DEFAULT_STARTUP_S = 480.0
"""Without ContainerStartupHealthCheckTimeoutInSeconds, SageMaker waits eight minutes."""

_WATCH_EVERY_S = 0.25


@dataclass(frozen=True)
class Variant:
    """One production variant, and the model it runs, as they were when the deploy began."""

    settings: Mapping[str, Any]
    model: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.settings["VariantName"])

    @property
    def weight(self) -> float:
        return float(self.settings.get("InitialVariantWeight", 1.0))

    @property
    def instances(self) -> int:
        return int(self.settings.get("InitialInstanceCount", 1))


@dataclass
class Running:
    """A variant with its container."""

    variant: Variant
    container: Container
    folder: Path


@dataclass(frozen=True)
class Fleet:
    """What answers at one time: one container for each variant, whatever the instance count."""

    config: str
    members: tuple[Running, ...]

    def pick(self, variant: str | None) -> Running | None:
        """The named variant, or one by weight; None if there is no such variant."""
        if variant is not None:
            return next((member for member in self.members if member.variant.name == variant), None)
        weights = [member.variant.weight for member in self.members]
        if not sum(weights):
            return self.members[0]
        return random.choices(self.members, weights)[0]


@dataclass(eq=False)
class Endpoint:
    name: str
    arn: str
    config: str
    status: str = "Creating"
    failure: str | None = None
    fleet: Fleet | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    cancelled: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)
    """For whoever changes the status or the fleet by what they are now."""

    def settle(self, status: str, failure: str | None = None) -> None:
        self.status, self.failure, self.modified = status, failure, datetime.now(UTC)


class Host:
    """Starts, replaces and stops the containers of endpoints; each operation in a thread of its own."""

    def __init__(self, clients: Clients, *, folder: Path, mark: str, region: str) -> None:
        self._clients = clients
        self._folder = folder
        self._mark = mark
        self._region = region
        self._numbers = count(1)
        self._lock = Lock()
        self._closed = False

    def deploy(self, endpoint: Endpoint, config: str, variants: tuple[Variant, ...]) -> None:
        """Brings the endpoint to the configuration; its status tells how far that is."""
        self._run(f"deploy {endpoint.name}", lambda: self._deploy(endpoint, config, variants))

    def remove(self, endpoint: Endpoint, forget: Any) -> None:
        """Stops the endpoint's containers and calls `forget` once they are gone."""
        with endpoint.lock:
            if endpoint.status == "Deleting":
                return
            endpoint.settle("Deleting")
            endpoint.cancelled.set()

        def remove() -> None:
            with endpoint.lock:
                fleet, endpoint.fleet = endpoint.fleet, None
            if fleet is not None:
                self._stop(fleet.members)
            forget()

        self._run(f"remove {endpoint.name}", remove)

    def close(self, endpoints: list[Endpoint], grace_s: float) -> None:
        """Stops every container, whatever its endpoint is about to do."""
        with self._lock:
            self._closed = True
        members: list[Running] = []
        for endpoint in endpoints:
            with endpoint.lock:
                endpoint.cancelled.set()
                fleet, endpoint.fleet = endpoint.fleet, None
            members.extend(fleet.members if fleet else ())
        self._stop(tuple(members), grace_s)

    def _deploy(self, endpoint: Endpoint, config: str, variants: tuple[Variant, ...]) -> None:
        members: list[Running] = []
        try:
            for variant in variants:
                members.append(self._start(endpoint, variant))
            for member in members:
                timeout_s = float(
                    member.variant.settings.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_S)
                )
                member.container.wait_until_healthy(timeout_s, endpoint.cancelled)
        except Exception as error:  # whatever it is, it must end up in the endpoint's FailureReason
            if not isinstance(error, ContainerFailed | ModelDataError | UnknownImage | ClientError | BotoCoreError):
                logger.exception("deploying endpoint %s", endpoint.name)
            self._stop(tuple(members), grace_s=1.0)
            with endpoint.lock:
                if not endpoint.cancelled.is_set():
                    endpoint.settle("InService" if endpoint.fleet else "Failed", str(error))
            return
        fleet = Fleet(config, tuple(members))
        with endpoint.lock:
            outdated = endpoint.fleet
            if endpoint.cancelled.is_set():  # deleted just now; the deletion stops the fleet that it finds
                outdated = fleet
            else:
                endpoint.fleet, endpoint.config = fleet, config
                endpoint.settle("InService")
        if outdated is not None:
            self._stop(outdated.members)
        if outdated is fleet:
            return
        self._run(f"watch {endpoint.name}", lambda: self._watch(endpoint, fleet))

    def _start(self, endpoint: Endpoint, variant: Variant) -> Running:
        definition = variant.model
        check_image(self._clients, definition.get("Image", ""))
        number = next(self._numbers)
        folder = self._folder / "endpoints" / f"{endpoint.name}-{variant.name}-{number}"
        try:
            fetch(self._clients, definition, folder)
            with self._lock:  # a container started after close() would be left behind
                if self._closed:
                    raise ContainerFailed("The local AWS is stopping.")
                container = Container(
                    folder,
                    definition.get("Environment", {}),
                    log=self._folder / "logs" / f"{endpoint.name}-{variant.name}-{number}.log",
                    mark=self._mark,
                    region=self._region,
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Running(variant, container, folder)

    def _watch(self, endpoint: Endpoint, fleet: Fleet) -> None:
        """Until the fleet is replaced or removed: if a container of it dies, the endpoint has none any more."""
        while endpoint.fleet is fleet and not endpoint.cancelled.wait(_WATCH_EVERY_S):
            dead = next((member for member in fleet.members if member.container.exit_code is not None), None)
            if dead is None:
                continue
            with endpoint.lock:
                if endpoint.fleet is not fleet:
                    return
                endpoint.fleet = None
                if endpoint.status == "InService":  # an update that is under way settles the status itself
                    endpoint.settle("Failed", dead.container.describe_exit())
            self._stop(fleet.members)

    @staticmethod
    def _stop(members: tuple[Running, ...], grace_s: float | None = None) -> None:
        grace = float(load_limits().container.stop_grace_s) if grace_s is None else grace_s

        def stop(member: Running) -> None:
            member.container.stop(grace)
            shutil.rmtree(member.folder, ignore_errors=True)

        threads = [Thread(target=stop, args=(member,)) for member in members]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @staticmethod
    def _run(name: str, work: Any) -> None:
        Thread(target=work, name=name, daemon=True).start()
