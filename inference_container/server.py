"""The life of the serving process: listen, load, answer, and on a signal drain and leave.

socket open, /ping 503 ─► model loaded, warm-up answered ─► /ping 200
SIGTERM or SIGINT ─► /ping 503, nothing new taken ─► what is in flight is answered ─► exit code 0
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import psutil
import uvicorn

from inference_container.application import Application
from inference_container.emf import embedded_metrics
from inference_container.logs import configure_logging, log_event
from inference_container.metrics import Metrics
from inference_container.served import ServedModel
from inference_container.service import RerankService
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.settings import Settings

_BATCH_GRACE_S = 2.0
"""For the batch in compute when time is up: SageMaker kills 5 s after our default drain time."""

_LAST_WORDS_S = 1
"""For answers to be sent when time is up."""

_KEEP_ALIVE_S = 75
"""Longer than a caller's 60 s pool timeout, so that it is the caller who closes an idle connection."""

Ready = Callable[[ServedModel, float], None]
Result = TypeVar("Result")


class CannotListen(ToolkitError):
    """The address is taken, or isn't this machine's."""


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one. Raises CannotListen."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        sock = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while")[0]
        raise CannotListen(f"can't listen on {host} port {port}: {why}; name another, port 0 for a free one") from None
    # Connections inherit it. asyncio would set it itself, but only on sockets that name their protocol; without it
    # the body of an answer waits for the acknowledgement of its head, up to 40 ms on Linux.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def serve(settings: Settings, sock: socket.socket, *, on_ready: Ready) -> None:
    """Serves on `sock` until SIGTERM or SIGINT; `on_ready` is told the model and the seconds since the process began.

    Raises ToolkitError if the artifact can't be served.
    """
    configure_logging(settings.log_level)
    # Read once, when torch is imported. By default compute threads spin while they wait for each other, which on
    # CPUs that others use too (serverless, a quota, a laptop) costs a batch ten times its time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    asyncio.run(_Process(settings, sock, on_ready).run())
    if any(thread.daemon and thread.is_alive() for thread in threading.enumerate()):
        # A thread is still inside native code, which nothing can interrupt and which may crash the interpreter's
        # own way out. Everything that was to be said or written has been.
        logging.shutdown()
        sys.stderr.flush()
        os._exit(0)


class _Process:
    def __init__(self, settings: Settings, sock: socket.socket, on_ready: Ready) -> None:
        self._settings = settings
        self._sock = sock
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
        model = await _in_daemon_thread(lambda: ServedModel.load(self._settings))
        service = RerankService(model, self._settings, self._metrics)
        await service.warm_up()
        startup_s = time.time() - psutil.Process().create_time()
        self._metrics.describe(model.manifest, model.engine)
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
        await asyncio.to_thread(service.close, "the server is shutting down", timeout_s=_BATCH_GRACE_S)
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
