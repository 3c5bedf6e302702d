"""The life of the serving process: listen, load, answer, and on a signal drain and leave.

socket open, /ping 503 ─► model loaded, warm-up answered ─► /ping 200
SIGTERM or SIGINT ─► /ping 503, nothing new taken ─► what is in flight is answered ─► exit code 0
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil
import uvicorn

from inference_container.application import Application
from inference_container.emf import embedded_metrics
from inference_container.logs import log_event
from inference_container.metrics import Metrics
from inference_container.served import ServedModel
from inference_container.service import RerankService
from inference_container.workers.pool import WorkerPool
from rerank_toolkit.contracts.settings import Settings

_BATCH_GRACE_S = 2.0
"""For batches in compute when time is up: SageMaker kills 5 s after our default drain time."""

_LAST_WORDS_S = 1
"""For answers to be sent when time is up."""

_KEEP_ALIVE_S = 75
"""Longer than a caller's 60 s pool timeout, so that it is the caller who closes an idle connection."""

Ready = Callable[[ServedModel, float], None]
Result = TypeVar("Result")


def run_until_stopped(settings: Settings, sock: socket.socket, pool: WorkerPool, on_ready: Ready) -> None:
    """Serves what the workers of `pool` load; see `server.serve`."""
    asyncio.run(_Process(settings, sock, pool, on_ready).run())


class _Process:
    def __init__(self, settings: Settings, sock: socket.socket, pool: WorkerPool, on_ready: Ready) -> None:
        self._settings = settings
        self._sock = sock
        self._pool = pool
        self._on_ready = on_ready
        self._metrics = Metrics(keep=settings.emf_interval_s > 0)
        self._application = Application(settings, self._metrics)
        self._server = _Uvicorn(
            uvicorn.Config(
                self._application.asgi,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                http="h11",
                loop="asyncio",
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_LAST_WORDS_S,
            )
        )
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        serving = asyncio.create_task(self._server.serve([self._sock]))
        async with embedded_metrics(self._metrics, self._settings):
            try:
                service = await self._start_unless_stopped()
                if service:
                    await self._stop.wait()
                    await self._drain(service)
            finally:
                self._server.should_exit = True
                await serving

    def _on_signal(self) -> None:
        """The first asks to drain, a second to leave without waiting."""
        if self._stop.is_set():
            self._hurry.set()
            self._server.force_exit = self._server.should_exit
        self._stop.set()

    async def _start_unless_stopped(self) -> RerankService | None:
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if starting.done():
            return await starting
        starting.cancel()
        return None

    async def _start(self) -> RerankService:
        model = await _in_daemon_thread(lambda: ServedModel.load(self._settings, self._pool))
        service = RerankService(model, self._settings, self._metrics)
        await service.warm_up()
        startup_s = process_age_s()
        self._metrics.describe(model.manifest, model.engine)
        self._metrics.watch_memory(model.memory.by_process)
        self._application.open(service, startup_s=startup_s)
        self._on_ready(model, startup_s)
        return service

    async def _drain(self, service: RerankService) -> None:
        end = time.monotonic() + self._settings.drain_s
        log_event("draining", in_flight=self._application.in_flight)
        draining = asyncio.create_task(self._application.drain())
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({draining, hurrying}, timeout=self._settings.drain_s, return_when=asyncio.FIRST_COMPLETED)
        log_event("stopping", unanswered=self._application.in_flight)
        grace_s = 0.0 if self._hurry.is_set() else _BATCH_GRACE_S
        await asyncio.to_thread(service.close, "the server is shutting down", timeout_s=grace_s)
        draining.cancel()
        hurrying.cancel()
        # Answers are made, but a large one may still be on its way to a slow caller.
        left_s = 0 if self._hurry.is_set() else math.ceil(end - time.monotonic())
        self._server.config.timeout_graceful_shutdown = max(_LAST_WORDS_S, left_s)


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to us: uvicorn's own handling closes the socket at once, and ends with the signal's code."""
        yield


def process_age_s() -> float:
    """Seconds since this process began."""
    try:  # by the clock that Linux starts processes by; psutil goes by the time of day, a second more or less
        fields = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (AttributeError, OSError):
        return time.time() - float(psutil.Process().create_time())


async def _in_daemon_thread(function: Callable[[], Result]) -> Result:
    """What `function` returns or raises. Unlike a worker thread, it doesn't hold up the process's end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if future.done() else settle())

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # handed to whoever awaits it
            failure = error
            tell(lambda: future.set_exception(failure))
        else:
            tell(lambda: future.set_result(result))

    threading.Thread(target=run, name="load", daemon=True).start()
    return await future
