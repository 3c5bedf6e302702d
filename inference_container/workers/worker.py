"""The front's view of one worker process: an engine that may be lost, and started again."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference_container.artifact import Artifact
from inference_container.engines import RaggedBatch
from inference_container.workers import frames
from inference_container.workers.frames import Frame, Kind
from inference_container.workers.spec import Load, Ready, WorkerSpec
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.manifest import Dtype

LOAD_LIMIT_S = 420.0
"""SageMaker waits 480 s for a healthy container."""

_STALLED_S = 30.0
"""In which a frame that has begun must go on: a process that is stopped reads and writes nothing."""

_ENDING_S = 1.0
_TICK_S = 1.0


class WorkerLost(ToolkitError):
    """The process has ended, or was ended because it didn't answer. `start` makes another."""


class EngineRaised(ToolkitError):
    """The engine failed on this batch; the worker goes on."""


class CannotLoad(ToolkitError):
    """The worker says why it can't serve the artifact: another try would end the same."""


class Worker:
    """An Engine in a process of its own. One thread calls it at a time; `stop` and `alive` may be called from any."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._artifact: Artifact | None = None
        self._engine: Ready | None = None
        self._loaded = False
        self._stopped = False
        self._changing = threading.Lock()
        self._computed_tokens = 0

    @property
    def name(self) -> str:
        return self._known.name

    @property
    def version(self) -> str:
        return self._known.version

    @property
    def dtype(self) -> Dtype:
        return self._known.dtype

    @property
    def computed_tokens(self) -> int:
        return self._computed_tokens

    @property
    def pid(self) -> int | None:
        """None while there is no process."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    @property
    def alive(self) -> bool:
        """Whether it has loaded its model and runs."""
        return self._loaded and self.pid is not None

    def spawn(self) -> None:
        """Starts the process, which imports its engine and then waits for `load`.

        On Linux it ends with the thread that calls this.
        """
        ours, theirs = socket.socketpair()
        ours.settimeout(_STALLED_S)
        spec = msgspec.structs.replace(self._spec, parent=os.getpid())
        command = [sys.executable, "-m", "inference_container.workers", str(theirs.fileno())]
        with self._changing, theirs:
            if self._stopped:
                ours.close()
                raise WorkerLost("the server is shutting down")
            self._sock = ours
            self._process = subprocess.Popen(
                [*command, msgspec.json.encode(spec).decode()],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C at a terminal is the front's to handle
            )

    def load(self, artifact: Artifact) -> None:
        """Has it load the artifact, whose files were checked."""
        self._artifact = artifact
        load = msgspec.json.encode(Load(str(artifact.path.resolve()), artifact.manifest))
        self._send(lambda sock: frames.send(sock, Kind.LOAD, load))

    def wait_until_loaded(self) -> None:
        """Raises CannotLoad, WorkerLost."""
        frame = self._answer(LOAD_LIMIT_S)
        if frame.kind == Kind.REFUSED:
            self.end()
            raise CannotLoad(frame.payload.decode())
        self._engine = msgspec.json.decode(frame.payload, type=Ready)
        self._loaded = True

    def start(self) -> None:
        """Loads what was loaded before into another process, unless this one is up. Raises CannotLoad, WorkerLost."""
        if self.alive:
            return
        self.end()
        if self._artifact is None:
            raise WorkerLost("nothing was loaded that could be loaded again. This is a bug.")
        self.spawn()
        self.load(self._artifact)
        self.wait_until_loaded()

    def score(self, batch: RaggedBatch, *, timeout_s: float | None = None) -> NDArray[np.float32]:
        """Relevance logits, (sequences,). Raises EngineRaised; WorkerLost, also if it takes longer than `timeout_s`,
        by which the worker is ended."""
        self._send(lambda sock: frames.send_batch(sock, batch))
        frame = self._answer(timeout_s)
        if frame.kind == Kind.FAILED:
            raise EngineRaised(frame.payload.decode())
        self._computed_tokens = frame.count
        return frames.scores_of(frame)

    def end(self) -> None:
        """Ends the process, whatever it does. `start` makes another."""
        with self._changing:
            self._loaded = False
            if self._process:
                self._process.kill()
                self._process.wait()
            if self._sock:
                with suppress(OSError):  # the other end has gone before
                    self._sock.shutdown(socket.SHUT_RDWR)  # wakes who waits for an answer; closing alone would not
                self._sock.close()

    def stop(self) -> None:
        """Ends the process for good."""
        self._stopped = True
        self.end()

    @property
    def _known(self) -> Ready:
        if self._engine is None:
            raise WorkerLost("no worker has loaded its engine yet. This is a bug.")
        return self._engine

    def _answer(self, timeout_s: float | None) -> Frame:
        """The next frame. A timeout counts seconds in which this process ran too: a machine that was suspended in
        between has lost no time."""
        sock = self._connection()
        poll = select.poll()
        try:
            poll.register(sock, select.POLLIN)
        except ValueError:  # another thread has ended it just now
            self._raise_lost()
        waited = 0.0
        while True:
            before = time.monotonic()
            if poll.poll(_TICK_S * 1e3):
                return self._receive(sock)
            waited += min(time.monotonic() - before, 2 * _TICK_S)
            if timeout_s is not None and waited > timeout_s:
                self.end()
                raise WorkerLost(f"a worker did not answer within {timeout_s:.0f} s and was ended")

    def _receive(self, sock: socket.socket) -> Frame:
        try:
            frame = frames.receive(sock)
        except (OSError, EOFError):
            frame = None
        return frame or self._raise_lost()

    def _send(self, send: Callable[[socket.socket], None]) -> None:
        try:
            send(self._connection())
        except OSError:
            self._raise_lost()

    def _connection(self) -> socket.socket:
        return self._sock or self._raise_lost()

    def _raise_lost(self) -> NoReturn:
        if self._process:
            with suppress(subprocess.TimeoutExpired):  # its sockets close a moment before it has ended
                self._process.wait(_ENDING_S)
        self.end()
        code = self._process.returncode if self._process else None
        how = f"by signal {-code} ({signal.strsignal(-code)})" if code and code < 0 else f"with exit code {code}"
        raise WorkerLost(f"a worker process ended {how}")
