"""A worker's work: the artifact loaded, then one batch after the other, until the front closes the socket."""

from __future__ import annotations

import importlib
import socket
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


def run(sock: socket.socket, spec: WorkerSpec) -> int:
    """The exit code: 0 when the front has closed the socket, 1 if the artifact can't be served."""
    configure_logging(spec.log_level)
    with suppress(ImportError):  # load_engine says what is missing
        importlib.import_module(f"inference_container.engines.{spec.engine}")
    frame = frames.receive(sock)
    if not frame:
        return 0
    load = msgspec.json.decode(frame.payload, type=Load)
    try:
        engine = _start(Artifact(Path(load.path), load.manifest), spec.threads)
    except ToolkitError as error:
        return _refuse(sock, str(error))
    except Exception as error:  # the front must hear of whatever keeps it from starting
        LOGGER.debug("load failed", exc_info=True)
        return _refuse(sock, f"the engine {spec.engine} can't load {load.path} ({type(error).__name__}: {error})")
    ready = Ready(engine.name, str(engine.version), engine.dtype)  # torch's version is of a class of its own
    frames.send(sock, Kind.READY, msgspec.json.encode(ready))
    return _serve(sock, engine)


def _refuse(sock: socket.socket, reason: str) -> int:
    frames.send(sock, Kind.REFUSED, reason.encode())
    return 1


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
            LOGGER.exception("engine_raised")
            frames.send(sock, Kind.FAILED, type(error).__name__.encode())
        else:
            frames.send_scores(sock, logits, computed_tokens(engine, batch))
    return 0
