"""Workers of a server, killed while it serves."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field
from typing import Self

from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.process_tree import family

WORKER = "inference_container.workers"
"""What the command line of a process that computes names."""


def worker_pids(server_pid: int) -> list[int]:
    """The processes of the server that compute, oldest first."""
    workers = [process for process in family(server_pid)[1:] if process.is_running() and WORKER in process.cmdline()]
    return [process.pid for process in sorted(workers, key=lambda process: process.create_time())]


@dataclass(slots=True)
class WorkerKiller:
    """While the block runs, `seconds` at most, ends a worker with SIGKILL every `every_s`, one after the other."""

    server_pid: int
    every_s: float
    seconds: float
    killed: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if not worker_pids(self.server_pid):
            raise NotMeasurable("the server has no worker processes to kill")
        self._thread = threading.Thread(target=self._kill, daemon=True, name="killer")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _kill(self) -> None:
        for turn in range(int(self.seconds / self.every_s)):
            if self._stop.wait(self.every_s):
                return
            pids = worker_pids(self.server_pid)
            if not pids:  # none has come back since the last was killed
                continue
            try:
                os.kill(pids[turn % len(pids)], signal.SIGKILL)
            except ProcessLookupError:
                continue
            self.killed += 1
