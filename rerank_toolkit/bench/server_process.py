"""The container's own server, started for a measurement and stopped after it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from rerank_toolkit.bench.errors import ServerNotStarted
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.settings import Settings

START_TIMEOUT_S = 300.0
LINES_SHOWN = 12


@contextmanager
def serve(artifact: Path, *, start_timeout_s: float = START_TIMEOUT_S) -> Iterator[str]:
    """The address of a server of `artifact` on a free loopback port, for as long as the block runs.

    Settings of the environment, such as RERANK_THREADS, reach it. Raises ServerNotStarted with the end of its log.
    """
    settings = Settings(model_dir=str(artifact.resolve()), host="127.0.0.1", port=_free_port())
    url = f"http://127.0.0.1:{settings.port}"
    with tempfile.TemporaryDirectory(prefix="rerank-bench-") as folder:
        log = Path(folder) / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "inference_container", "serve"],
                env={**os.environ, **settings.to_environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the terminal is ours to handle, in order
            )
        try:
            _wait_until_healthy(process, url, log, start_timeout_s)
            yield url
        finally:
            _stop(process)


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    with httpx.Client(trust_env=False, timeout=load_limits().container.ping_timeout_s) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ServerNotStarted(
                    f"the server ended with code {process.returncode} before it served:\n{_tail(log)}"
                )
            try:
                if client.get(f"{url}/ping").is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(0.05)
    raise ServerNotStarted(f"the server was not healthy within {timeout_s:g} s; the end of its log:\n{_tail(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(load_limits().container.stop_grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_SHOWN:]
    return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
