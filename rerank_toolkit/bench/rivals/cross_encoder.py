"""sentence-transformers' CrossEncoder in a process of its own, asked through pipes."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

import msgspec

from rerank_toolkit.bench.errors import RivalUnavailable
from rerank_toolkit.bench.server_process import stop
from rerank_toolkit.bench.sides import ANSWER_TIMEOUT_S, Scored
from rerank_toolkit.contracts.manifest import Dtype

Backend = Literal["torch", "onnx", "openvino"]

DEFAULT_BATCH = 32
"""Of CrossEncoder.predict()."""
BATCHES = (4, 8, 16)
"""Tried besides the default, to show what the rival can do in the hands of somebody who measures."""

_SCRIPT = Path(__file__).with_name("cross_encoder_process.py")
_START_TIMEOUT_S = 300.0
_LINES_SHOWN = 8


class _Ready(msgspec.Struct):
    versions: dict[str, str]
    precision: Dtype


class _Answer(msgspec.Struct):
    logits: list[float]
    seconds: float


@dataclass(frozen=True, slots=True)
class CrossEncoderSide:
    """A side of the comparison: one loaded model, at one size of batch."""

    backend: str
    batch: int
    process: _Process
    label: str = "default batch"

    @property
    def name(self) -> str:
        return f"sentence-transformers {self.backend}, {self.label} of {self.batch}"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def versions(self) -> Mapping[str, str]:
        return self.process.ready.versions

    @property
    def precision(self) -> Dtype:
        """What it computes in, as it says itself."""
        return self.process.ready.precision

    def score(self, query: str, documents: Sequence[str]) -> Scored:
        """Seconds are those of predict() alone, not of the pipe."""
        answer = self.process.ask({"query": query, "documents": documents, "batch_size": self.batch})
        return Scored(answer.logits, answer.seconds)

    def at_best_batch(self, query: str, documents: Sequence[str]) -> CrossEncoderSide:
        """The same model at the size of batch that scores these documents fastest, each size tried twice."""
        seconds: dict[int, float] = {}
        for batch in (*BATCHES, DEFAULT_BATCH):
            side = replace(self, batch=batch, label="best batch")
            seconds[batch] = min(side.score(query, documents).seconds for _ in range(2))
        return replace(self, batch=min(seconds, key=seconds.__getitem__), label="best batch")


@contextmanager
def cross_encoder(
    python: Path, checkpoint: Path, backend: Backend, dtype: Literal["default", "bf16"] = "default"
) -> Iterator[CrossEncoderSide]:
    """The CrossEncoder of the weights in `checkpoint`, for as long as the block runs. Raises RivalUnavailable."""
    name = f"{backend} {dtype}" if dtype != "default" else backend
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(
            [str(python), "-P", str(_SCRIPT), str(checkpoint), backend, dtype],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        process = _Process(f"sentence-transformers {name}", started, log)
        try:
            process.await_ready()
            yield CrossEncoderSide(name, DEFAULT_BATCH, process)
        finally:
            process.close()


class _Process:
    """The other end of cross_encoder_process.py."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process has no pipes. This is a bug.")
        self._name = name
        self._process = process
        self._log = log
        self._input, self._output = process.stdin, process.stdout
        self._unread = b""
        self.ready = _Ready({}, "fp32")

    @property
    def pid(self) -> int:
        return self._process.pid

    def await_ready(self) -> None:
        self.ready = msgspec.json.decode(self._line(_START_TIMEOUT_S), type=_Ready)

    def ask(self, question: Mapping[str, object]) -> _Answer:
        try:
            self._input.write(msgspec.json.encode(question) + b"\n")
            self._input.flush()
        except BrokenPipeError:
            raise self._failed("ended") from None
        return msgspec.json.decode(self._line(ANSWER_TIMEOUT_S), type=_Answer)

    def close(self) -> None:
        stop(self._process)
        self._input.close()
        self._output.close()

    def _line(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self._output], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise self._failed(f"said nothing for {timeout_s:g} s")
            read = os.read(self._output.fileno(), 1 << 16)
            if not read:
                raise self._failed("ended")
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _failed(self, how: str) -> RivalUnavailable:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").splitlines()[-_LINES_SHOWN:]
        said = "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"
        return RivalUnavailable(f"{self._name} {how}; the end of what it said:\n{said}")
