"""Listening, and serving on it: the front's first steps, which start the workers before they import all the rest."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from inference_container.logs import configure_logging
from inference_container.workers.pool import WorkerPool
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.settings import Settings

if TYPE_CHECKING:
    from inference_container.served import ServedModel


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


def serve(settings: Settings, sock: socket.socket, *, on_ready: Callable[[ServedModel, float], None]) -> None:
    """Serves on `sock` until SIGTERM or SIGINT; `on_ready` is told the model and the seconds since the process began.

    Raises ToolkitError if the artifact can't be served.
    """
    configure_logging(settings.log_level)
    # Read once, when torch is imported. By default compute threads spin while they wait for each other, which on
    # CPUs that others use too (serverless, a quota, a laptop) costs a batch ten times its time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with WorkerPool.running(settings) as pool:
        # Imported here, while the workers import their engine.
        from inference_container.lifecycle import run_until_stopped  # noqa: PLC0415

        run_until_stopped(settings, sock, pool, on_ready)
