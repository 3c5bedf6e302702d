"""Starts and stops the containers of variants, inference components and transform jobs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread

from botocore.exceptions import BotoCoreError, ClientError

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.sagemaker.artifacts import ModelDataError, fetch
from rerank_toolkit.local_sagemaker.sagemaker.container import Container, ContainerFailed
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member, Replaced, Running
from rerank_toolkit.local_sagemaker.sagemaker.images import UnknownImage, check_image

DEFAULT_STARTUP_S = 480.0
"""Without ContainerStartupHealthCheckTimeoutInSeconds, SageMaker waits eight minutes."""

START_FAILURES = (ContainerFailed, ModelDataError, UnknownImage, ClientError, BotoCoreError)
"""What a start may raise by no fault of ours."""


class NoCapacity(Exception):
    """No container answers: the count is 0, or was a moment ago."""


class Host:
    """The machine. Its methods may be called from any thread."""

    def __init__(self, clients: Clients, *, folder: Path, mark: str, region: str) -> None:
        self._clients = clients
        self._folder = folder
        self._mark = mark
        self._region = region
        self._numbers = count(1)
        self._lock = Lock()
        self._closed = False

    def start(self, owner: str, members: Iterable[Member], cancelled: Event) -> None:
        """Starts those that want a container and have none, all at once, and waits until each is healthy.

        Raises one of START_FAILURES; what was started by then is left to `stop`.
        """
        started = []
        for member in members:
            if member.wants_container and member.running is None:
                self._launch(owner, member)
                started.append(member)
        for member in started:
            self._wait(member, cancelled)

    @contextmanager
    def use(self, owner: str, member: Member) -> Iterator[tuple[Container, float]]:
        """The member's container for one request, and the seconds that it took to start.

        A serverless container is started if it is cold. Raises NoCapacity, Replaced, or one of START_FAILURES.
        """
        setup_s = self._warm(owner, member) if member.serverless else 0.0
        running = member.running
        if running is None or not running.ready:
            raise Replaced if member.retired.is_set() else NoCapacity
        with running.use() as container:
            yield container, setup_s

    def stop(self, members: Iterable[Member], grace_s: float | None = None) -> None:
        """Stops the members' containers, all at once; without a grace, in SageMaker's."""
        grace = float(load_limits().container.stop_grace_s) if grace_s is None else grace_s
        threads = []
        for member in members:
            running, member.running = member.running, None
            if running is not None:
                threads.append(Thread(target=running.stop, args=(grace,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def retire(self, members: Iterable[Member], grace_s: float | None = None) -> None:
        """Stops the members' containers for good: no request that comes too late starts one again."""
        retired = list(members)
        for member in retired:
            member.retired.set()
        self.stop(retired, grace_s)

    def close(self) -> None:
        """From now on nothing is started."""
        with self._lock:
            self._closed = True

    def _warm(self, owner: str, member: Member) -> float:
        with member.lock:
            running = member.running
            if running is not None and not running.stopping and running.container.exit_code is None:
                return 0.0
            if running is not None:
                member.running = None
                running.stop(0.0)
            started = time.perf_counter()
            try:
                if not member.retired.is_set():
                    self._launch(owner, member)
                    self._wait(member, member.retired)
            except BaseException:
                self.stop([member], 0.0)
                if not member.retired.is_set():
                    raise
            if member.retired.is_set():
                self.stop([member], 0.0)
                raise Replaced
            return time.perf_counter() - started

    def _wait(self, member: Member, cancelled: Event) -> None:
        running = member.running
        if running is None:
            return
        if member.serverless is None:
            running.container.wait_until_healthy(member.startup_s or DEFAULT_STARTUP_S, cancelled)
        else:
            limit_s = float(load_limits().serverless.container_start_s)
            try:
                running.container.wait_until_healthy(limit_s, cancelled)
            except ContainerFailed as error:
                raise ContainerFailed(
                    f"Unable to successfully stand up your model within the allotted {limit_s:g} second timeout. "
                    f"{error}"
                ) from None
        running.ready = True

    def _launch(self, owner: str, member: Member) -> None:
        definition = member.model or {}
        image = check_image(self._clients, definition.get("Image", ""))
        name = f"{owner}-{member.name}-{next(self._numbers)}"
        folder = self._folder / "endpoints" / name
        try:
            fetch(self._clients, definition, folder)
            with self._lock:  # a container started after close() would be left behind
                if self._closed:
                    raise ContainerFailed("The local AWS is stopping.")
                container = Container(
                    folder,
                    definition.get("Environment", {}),
                    log=self._folder / "logs" / f"{name}.log",
                    mark=self._mark,
                    region=self._region,
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        member.image, member.started = image, datetime.now(UTC)
        member.running = Running(container, folder)
