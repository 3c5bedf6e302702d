"""A request between admission and answer: its work, its scores, and what became of it so far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_container.errors import ServingError

Sequences = Sequence[NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Work:
    """The documents of one request, each as the token sequence that the model reads."""

    ids: Sequences
    type_ids: Sequences
    flops: Sequence[float]


@dataclass(frozen=True, slots=True)
class Scores:
    logits: NDArray[np.float32]  # (documents,)
    inference_s: float
    """Time in which a batch that held documents of this request was computed, whoever else was in it."""
    queue_s: float
    """The rest of its time here."""
    batches: int
    padding_ratio: float
    """Share of the tokens computed for this request that was padding."""


class Job:
    """A request between admission and answer."""

    def __init__(self, number: int, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        self.work = work
        self.future: asyncio.Future[Scores] = loop.create_future()
        self.submitted = time.monotonic()
        self.logits = np.zeros(len(work.ids), dtype=np.float32)
        self.missing = len(work.ids)
        self.inference_s = 0.0
        self.batches = 0
        self.computed_tokens = 0.0  # its share of the batches it was in, padding included
        self._computing = 0
        self._since = 0.0
        self._loop = loop

    def begin(self, now: float) -> None:
        """A batch with documents of it is in compute from now on, perhaps beside others."""
        if not self._computing:
            self._since = now
        self._computing += 1

    def end(self, now: float) -> None:
        """Such a batch has ended."""
        self._computing -= 1
        if not self._computing:
            self.inference_s += now - self._since

    def tokens(self, documents: Iterable[int]) -> int:
        return sum(len(self.work.ids[document]) for document in documents)

    def resolve(self, result: Scores | ServingError) -> None:
        """From any thread; one who has stopped waiting is not told."""
        self._loop.call_soon_threadsafe(self._set, result)

    def _set(self, result: Scores | ServingError) -> None:
        if self.future.done():
            return
        if isinstance(result, ServingError):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)
