"""Servers started for a measurement and stopped after it: the container's own, and others that speak HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from rerank_toolkit.bench.errors import ServerNotStarted
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.settings import Settings

START_TIMEOUT_S = 300.0
POLL_S = 0.02
LINES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Server:
    """A process that is healthy."""

    url: str
    process: subprocess.Popen[bytes]
    ready_s: float
    """From its start to the first healthy answer, as seen from outside."""

    @property
    def pid(self) -> int:
        return self.process.pid


@contextmanager
def serve(
    artifact: Path, *, start_timeout_s: float = START_TIMEOUT_S, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server of `artifact` on a free loopback port, for as long as the block runs.

    Settings of our own environment, such as RERANK_THREADS, reach it; those of `environment` go before them.
    Raises ServerNotStarted with the end of its log.
    """
    port = free_port()
    settings = Settings(model_dir=str(artifact.resolve()), host="127.0.0.1", port=port)
    with run_server(
        [sys.executable, "-m", "inference_container", "serve"],
        url=f"http://127.0.0.1:{port}",
        health="/ping",
        environment={**(environment or {}), **settings.to_environment()},
        start_timeout_s=start_timeout_s,
    ) as server:
        yield server


@contextmanager
def run_server(
    command: Sequence[str],
    *,
    url: str,
    health: str,
    environment: Mapping[str, str],
    start_timeout_s: float = START_TIMEOUT_S,
) -> Iterator[Server]:
    """The server that `command` starts, from its first healthy answer at `url` + `health` to the end of the block."""
    with tempfile.TemporaryDirectory(prefix="rerank-bench-") as folder:
        log = Path(folder) / "server.log"
        start = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the terminal is ours to handle, in order
            )
        try:
            _wait_until_healthy(process, url + health, log, start_timeout_s)
            yield Server(url, process, time.monotonic() - start)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends it in order; by force if that takes longer than SageMaker would wait."""
    process.terminate()
    try:
        process.wait(load_limits().container.stop_grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(process: subprocess.Popen[bytes], address: str, log: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    with httpx.Client(trust_env=False, timeout=load_limits().container.ping_timeout_s) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ServerNotStarted(
                    f"the server ended with code {process.returncode} before it served:\n{_tail(log)}"
                )
            try:
                if client.get(address).is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(POLL_S)
    raise ServerNotStarted(f"the server was not healthy within {timeout_s:g} s; the end of its log:\n{_tail(log)}")


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_SHOWN:]
    return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"
