"""One worker: `python -m inference_container.workers FD SPEC`, started by the front with its end of a socketpair.

It ends when the front does: the socket says so between batches, and on Linux the kernel in the midst of one.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from inference_container.artifact import Artifact
from inference_container.engines import Engine, RaggedBatch, computed_tokens
from inference_container.engines.loading import load_engine
from inference_container.logs import LOGGER, configure_logging
from inference_container.workers import frames
from inference_container.workers.frames import Kind
from inference_container.workers.spec import Load, Ready, WorkerSpec
from rerank_toolkit.contracts.errors import ToolkitError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> int:
    """0 when the front has closed the socket, 1 if the artifact can't be served."""
    fd, spec = int(arguments[0]), msgspec.json.decode(arguments[1], type=WorkerSpec)
    _belong_to(spec.parent)
    if spec.cores:  # before any library counts them
        os.sched_setaffinity(0, spec.cores)
    configure_logging(spec.log_level)
    with suppress(ImportError):  # load_engine says what is missing
        importlib.import_module(f"inference_container.engines.{spec.engine}")
    with socket.socket(fileno=fd) as sock:
        frame = frames.receive(sock)
        if not frame:
            return 0
        load = msgspec.json.decode(frame.payload, type=Load)
        try:
            engine = _start(Artifact(Path(load.path), load.manifest), spec.threads)
        except ToolkitError as error:
            frames.send(sock, Kind.REFUSED, str(error).encode())
            return 1
        except Exception as error:  # the front must hear of whatever keeps it from starting
            LOGGER.debug("load failed", exc_info=True)
            reason = f"the engine {spec.engine} can't load {load.path} ({type(error).__name__}: {error})"
            frames.send(sock, Kind.REFUSED, reason.encode())
            return 1
        ready = Ready(engine.name, str(engine.version), engine.dtype)  # torch's version is of a class of its own
        frames.send(sock, Kind.READY, msgspec.json.encode(ready))
        return _serve(sock, engine)


def _belong_to(parent: int) -> None:
    """Ends with the front, by its decision alone, and before it where memory runs out."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all processes of a terminal or container
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):  # not where /proc is read-only
            Path("/proc/self/oom_score_adj").write_text("500")
    if os.getppid() != parent:  # it ended before the kernel was told
        sys.exit(1)


def _start(artifact: Artifact, threads: int) -> Engine:
    """The engine, after a first batch: what a first call has to set up is set up."""
    engine = load_engine(artifact, threads=threads)
    ids = np.arange(16, dtype=np.int32) % artifact.manifest.shape.vocabulary
    engine.score(RaggedBatch.of([ids], [np.zeros_like(ids)]))
    return engine


def _serve(sock: socket.socket, engine: Engine) -> int:
    while frame := frames.receive(sock):
        batch = frames.batch_of(frame)
        try:
            logits = engine.score(batch)
        except Exception as error:  # any, out of memory included: this batch fails, the worker goes on
            LOGGER.exception("engine raised")
            frames.send(sock, Kind.FAILED, type(error).__name__.encode())
        else:
            frames.send_scores(sock, logits, computed_tokens(engine, batch))
    return 0


if __name__ == "__main__":
    with suppress(BrokenPipeError, ConnectionResetError, EOFError):  # the front has ended: so does this
        sys.exit(main(sys.argv[1:]))
