"""What answers at one time: variants, each with one container here, whatever the count of its instances.

    Fleet ── Member (a variant, or an inference component) ── Running (a container, and who uses it)

During a rollout there are two fleets, and Traffic says which of them a request meets.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Condition, Event, Lock
from typing import Any, Generic, TypeVar

from rerank_toolkit.local_sagemaker.sagemaker.container import Container
from rerank_toolkit.local_sagemaker.sagemaker.metrics import Dimensions


class Replaced(Exception):
    """The container was about to be stopped when the request came; another one answers by now."""


class Throttled(Exception):
    """As many requests are under way as the variant may have at once."""


class Running:
    """A container with its folder. It is stopped when nobody uses it any more, so no request falls between two."""

    def __init__(self, container: Container, folder: Path) -> None:
        self.container = container
        self.folder = folder
        self.ready = False
        """Healthy since its start, so requests may come."""
        self.last_used = time.monotonic()
        self._users = 0
        self._stopping = False
        self._change = Condition()

    @property
    def users(self) -> int:
        return self._users

    @property
    def stopping(self) -> bool:
        return self._stopping

    @contextmanager
    def use(self) -> Iterator[Container]:
        """Keeps the container for the time of a request; raises Replaced if it is about to be stopped."""
        with self._change:
            if self._stopping:
                raise Replaced
            self._users += 1
        try:
            yield self.container
        finally:
            with self._change:
                self._users -= 1
                self.last_used = time.monotonic()
                self._change.notify_all()

    def stop(self, grace_s: float) -> None:
        """Waits for its users, at most for the grace, ends the container as SageMaker does, and removes the folder."""
        with self._change:
            self._stopping = True
            self._change.wait_for(lambda: not self._users, grace_s)
        self.container.stop(grace_s)
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Variant:
    """A production variant as its configuration has it, and the model it runs, both as they were at that time."""

    settings: Mapping[str, Any]
    model: Mapping[str, Any] | None
    """The container's definition; None for a variant that only hosts inference components."""

    @property
    def name(self) -> str:
        return str(self.settings["VariantName"])

    @property
    def weight(self) -> float:
        return float(self.settings.get("InitialVariantWeight", 1.0))

    @property
    def instances(self) -> int:
        return int(self.settings.get("InitialInstanceCount", 1))

    @property
    def serverless(self) -> Mapping[str, Any] | None:
        settings: Mapping[str, Any] | None = self.settings.get("ServerlessConfig")
        return settings


@dataclass(eq=False)
class Member:
    """What one container answers for, and how much of it is wanted."""

    name: str
    model: Mapping[str, Any] | None
    count: int
    """Instances or copies; 0 holds no container."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    desired_count: int | None = None
    desired_weight: float | None = None
    """While a change is under way."""
    serverless: Mapping[str, Any] | None = None
    is_component: bool = False
    places: tuple[Dimensions, ...] = ()
    """The sets of dimensions under which CloudWatch counts it."""
    running: Running | None = None
    image: str | None = None
    """The container's, by its digest."""
    started: datetime | None = None
    retired: Event = field(default_factory=Event)
    """It shall have no container any more."""
    lock: Lock = field(default_factory=Lock)
    """For whoever starts or stops the container."""
    requests: int = 0
    """Under way now."""
    _admission: Condition = field(default_factory=Condition)

    @property
    def answers(self) -> bool:
        return self.running is not None and self.running.ready

    @property
    def wants_container(self) -> bool:
        return self.model is not None and (self.serverless is not None or self.count > 0)

    @property
    def memory_mib(self) -> int | None:
        """Of a serverless variant."""
        return int(self.serverless["MemorySizeInMB"]) if self.serverless else None

    @property
    def startup_s(self) -> float | None:
        seconds = self.settings.get("ContainerStartupHealthCheckTimeoutInSeconds")
        return float(seconds) if seconds is not None else None

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Counts a request among those under way; raises Throttled beyond a serverless variant's MaxConcurrency."""
        with self._admission:
            if self.serverless is not None and self.requests >= self.serverless["MaxConcurrency"]:
                raise Throttled
            self.requests += 1
        try:
            yield
        finally:
            with self._admission:
                self.requests -= 1


def member_of(variant: Variant, *, endpoint: str, config: str, weight: float, count: int) -> Member:
    dimensions = {"EndpointName": endpoint, "VariantName": variant.name}
    return Member(
        name=variant.name,
        model=variant.model,
        count=count,
        settings=variant.settings,
        weight=weight,
        serverless=variant.serverless,
        places=(dimensions, {**dimensions, "EndpointConfigName": config}),
    )


@dataclass(frozen=True)
class Fleet:
    """The variants of one endpoint configuration."""

    config: str
    members: tuple[Member, ...]
    shadows: tuple[Member, ...] = ()

    @property
    def everyone(self) -> tuple[Member, ...]:
        return (*self.members, *self.shadows)

    @property
    def hosts_components(self) -> bool:
        """Whether its variants have no models, but room for inference components."""
        return any(member.model is None for member in self.members)

    def pick(self, variant: str | None = None) -> Member | None:
        """The named variant, or one by weight; None if there is no such variant."""
        if variant is not None:
            return next((member for member in self.members if member.name == variant), None)
        weights = [member.weight for member in self.members]
        if not sum(weights):
            return self.members[0]
        return random.choices(self.members, weights)[0]

    def shadow_of(self, member: Member) -> Member | None:
        """The shadow that gets a copy of this request to `member`: as often as its weight is of the member's."""
        if not self.shadows:
            return None
        shadow = self.shadows[0]
        return shadow if random.random() * member.weight < shadow.weight else None


Side = TypeVar("Side")


@dataclass(eq=False)
class Traffic(Generic[Side]):
    """Who gets the requests: the present side, and while a rollout runs the incoming one its share."""

    present: Side | None = None
    incoming: Side | None = None
    share: float = 0.0

    def pick(self) -> Side | None:
        incoming = self.incoming
        return incoming if incoming is not None and random.random() < self.share else self.present

    @property
    def sides(self) -> tuple[Side, ...]:
        return tuple(side for side in (self.present, self.incoming) if side is not None)
