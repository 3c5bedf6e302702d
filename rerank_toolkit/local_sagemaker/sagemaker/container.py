"""One container as one process: started on a model's folder, watched through /ping, stopped as SageMaker stops it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event

import urllib3

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.local_sagemaker.processes import ENDPOINT_MARK

LOOPBACK = "127.0.0.1"

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_SEARCHED_FOR_CODE = ("PYTHONPATH", "LD_LIBRARY_PATH")
_PING_EVERY_S = 0.05
_LAST_LINES = 12


class ContainerFailed(Exception):
    """It died or never became healthy; the text holds the end of its log."""


class Container:
    """A running container. `pool` is open to it for any number of threads."""

    def __init__(self, model_dir: Path, environment: Mapping[str, str], *, log: Path, mark: str, region: str) -> None:
        self.log = log
        self.port = _free_port()
        self.pool = urllib3.HTTPConnectionPool(LOOPBACK, self.port, maxsize=64, retries=False)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "inference_container", "serve"],
                env={
                    **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                    **{name: _absolute(os.environ[name]) for name in _SEARCHED_FOR_CODE if name in os.environ},
                    "AWS_REGION": region,
                    **environment,
                    "RERANK_MODEL_DIR": str(model_dir),
                    "RERANK_HOST": LOOPBACK,
                    "SAGEMAKER_BIND_TO_PORT": str(self.port),
                    ENDPOINT_MARK: mark,
                },
                cwd="/",  # not the model's folder: no relative path may find code in what was unpacked there
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait_until_healthy(self, timeout_s: float, cancelled: Event) -> None:
        """Returns when /ping answers 200; raises ContainerFailed if it dies, is cancelled or takes too long."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if cancelled.wait(_PING_EVERY_S):
                raise ContainerFailed("The endpoint was deleted while its container started.")
            if self.exit_code is not None:
                raise ContainerFailed(self.describe_exit())
            if self._ping():
                return
        raise ContainerFailed(
            f"The container did not pass the ping health check within {timeout_s:g} s. {self._describe_log()}"
        )

    def describe_exit(self) -> str:
        return f"The container exited with code {self.exit_code}. {self._describe_log()}"

    def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL to the whole group when the grace is over."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self.pool.close()

    def kill(self) -> None:
        """At once, as the kernel does it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return  # it ended by itself a moment ago

    def _ping(self) -> bool:
        limit = load_limits().container.ping_timeout_s
        try:
            return self.pool.request("GET", "/ping", timeout=limit).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def _describe_log(self) -> str:
        lines = self.log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        shown = "\n".join(lines) or "(empty)"
        return f"Log: {self.log}, which ends:\n{shown}"


def _absolute(search_path: str) -> str:
    return os.pathsep.join(str(Path(entry).absolute()) for entry in search_path.split(os.pathsep) if entry)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
