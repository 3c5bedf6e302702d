"""Between the event loop and the engine: one compute thread, fed by the shared scheduling policy.

score() ─► Scheduler.submit ─► compute thread: next_batch ─► Engine.score ─► the caller's future
   │ refused                        │ expired                    │ raised, or not finite
   ▼                                ▼                            ▼
Refused                        TookTooLong                  EngineFailed, for that batch's requests alone
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_container.engines import Engine, RaggedBatch, computed_tokens
from inference_container.errors import (
    EngineFailed,
    NotReady,
    QueueFull,
    Refused,
    RequestTooLarge,
    ServingError,
    TookTooLong,
    WouldBeLate,
)
from inference_container.logs import LOGGER, log_event
from inference_container.metrics import Metrics, padding_ratio
from rerank_toolkit.scheduling import Batch, Refusal, Scheduler

MOST_FAILURES = 5
"""Batches that may fail one after the other. One may hold something odd; but an error of CUDA, for one, stays
until the process ends."""

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
    """Of the batches that held documents of this request, whoever else was in them."""
    queue_s: float
    """The rest of its time here."""
    batches: int
    padding_ratio: float
    """Share of the tokens computed for this request that was padding."""


class Dispatcher:
    """Owns the engine. `score` may be called from one event loop; compute happens in a thread of its own."""

    def __init__(
        self, engine: Engine, *, token_budget: int, max_queued_tokens: int, time_limit_s: float, metrics: Metrics
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._max_queued_tokens = max_queued_tokens
        self._time_limit_s = time_limit_s
        self._scheduler = Scheduler(
            token_budget=token_budget, max_queued_tokens=max_queued_tokens, time_limit_s=time_limit_s
        )
        self._jobs: dict[Hashable, _Job] = {}
        self._numbers = itertools.count()
        self._failures = 0
        self._closed: str | None = None
        # Guards the scheduler, the jobs and _closed; notified when there may be something to compute.
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="compute", daemon=True)
        self._thread.start()

    @property
    def fault(self) -> str | None:
        """Why nothing more will be answered here; None while all is well."""
        if not self._thread.is_alive():
            return "the compute thread has stopped"
        if self._failures >= MOST_FAILURES:
            return f"the engine failed on the last {self._failures} batches"
        return None

    async def score(self, work: Work, *, deadline: float) -> Scores:
        """The logits of `work`, by `deadline` on the clock of time.monotonic.

        Raises Refused at once if that won't be possible, TookTooLong if it wasn't, EngineFailed. Cancelling
        drops what is not yet being computed.
        """
        job = _Job(next(self._numbers), work, asyncio.get_running_loop())
        try:
            self._submit(job, deadline)
            async with asyncio.timeout_at(deadline):
                return await job.future
        except TimeoutError:
            raise TookTooLong("the answer was not ready within the time limit", retry_after_s=1) from None
        finally:
            with self._changed:
                self._forget(job)

    def close(self, reason: str, *, timeout_s: float) -> None:
        """Fails whatever is left with NotReady(reason) and stops the thread, waiting for the batch in compute."""
        with self._changed:
            self._close(reason)
        self._thread.join(timeout_s)

    def _submit(self, job: _Job, deadline: float) -> None:
        with self._changed:
            if self._closed:
                raise closed_error(self._closed)
            tokens = [len(sequence) for sequence in job.work.ids]
            now = time.monotonic()
            refusal = self._scheduler.submit(job.number, tokens, job.work.flops, now=now, deadline=deadline)
            if refusal:
                raise self._explain(refusal, sum(tokens), deadline - now)
            self._jobs[job.number] = job
            self._note_queue()
            self._changed.notify()

    def _explain(self, refusal: Refusal, tokens: int, left_s: float) -> Refused:
        estimate = "" if refusal.estimate_s is None else f"; it would take about {refusal.estimate_s:.1f} s"
        kind: type[Refused]
        match refusal.reason:
            case "too_large":
                kind = RequestTooLarge
                why = (
                    f"the request has {tokens:,} tokens, more than this server can score in {self._time_limit_s:g} s "
                    f"or queue ({self._max_queued_tokens:,}); send fewer or shorter documents"
                )
            case "queue_full":
                kind = QueueFull
                why = (
                    f"{self._scheduler.queued_tokens:,} tokens wait already, the request adds {tokens:,} "
                    f"and at most {self._max_queued_tokens:,} may wait"
                )
            case "too_late":
                kind, why = WouldBeLate, f"it can't be answered in the {left_s:.0f} s left"
            case "makes_others_late":
                kind, why = WouldBeLate, "taking this request would make requests late that were taken before"
        return kind(f"{why}{estimate}", reason=refusal.reason, retry_after_s=refusal.retry_after_s)

    def _run(self) -> None:
        try:
            while taken := self._wait_for_batch():
                self._compute(*taken)
        finally:  # whatever ended the thread, nobody is left waiting
            with self._changed:
                self._close("the compute thread has stopped")

    def _wait_for_batch(self) -> tuple[Batch, list[_Part]] | None:
        """The next batch, however long it takes to come; None when closed."""
        with self._changed:
            while not self._closed:
                for number in self._scheduler.expire(time.monotonic()):
                    self._fail(self._jobs[number], TookTooLong("the time limit passed in the queue", retry_after_s=1))
                batch = self._scheduler.next_batch()
                self._note_queue()
                if batch:
                    return batch, [(self._jobs[part.request], part.documents) for part in batch.slices]
                self._changed.wait()
            return None

    def _compute(self, batch: Batch, parts: list[_Part]) -> None:
        ragged = RaggedBatch.of(
            [job.work.ids[document] for job, documents in parts for document in documents],
            [job.work.type_ids[document] for job, documents in parts for document in documents],
        )
        start = time.monotonic()
        logits = self._score(ragged)
        seconds = time.monotonic() - start
        computed = ragged.tokens if isinstance(logits, EngineFailed) else computed_tokens(self._engine, ragged)
        with self._changed:
            if isinstance(logits, EngineFailed):
                self._scheduler.failed(batch)
                self._failures += 1
            else:
                self._scheduler.finished(batch, seconds, now=start + seconds)
                self._failures = 0
            first = 0
            for job, documents in parts:
                if isinstance(logits, EngineFailed):
                    self._fail(job, logits)
                else:
                    job.computed_tokens += job.tokens(documents) * computed / ragged.tokens
                    self._add(job, documents, logits[first : first + len(documents)], seconds)
                first += len(documents)
        if self._failures == MOST_FAILURES:
            log_event("unhealthy", level=logging.ERROR, detail=f"{self.fault}; this process has to be replaced")
        if not isinstance(logits, EngineFailed):
            self._metrics.observe_batch(sequences=ragged.sequences, tokens=ragged.tokens, computed_tokens=computed)

    def _score(self, batch: RaggedBatch) -> NDArray[np.float32] | EngineFailed:
        try:
            logits = self._engine.score(batch)
        except Exception as error:  # any, out of memory included: this batch fails, the process goes on
            LOGGER.exception("engine raised")
            return EngineFailed(f"the engine failed on this request ({type(error).__name__}); its log says more")
        if logits.shape != (batch.sequences,):
            return EngineFailed(
                f"the engine gave {logits.shape} scores for {batch.sequences} documents. This is a bug."
            )
        return logits

    def _add(self, job: _Job, documents: Sequence[int], logits: NDArray[np.float32], seconds: float) -> None:
        job.logits[list(documents)] = logits
        job.missing -= len(documents)
        job.inference_s += seconds
        job.batches += 1
        if not np.isfinite(logits).all():
            bad = [document for document, logit in zip(documents, logits, strict=True) if not np.isfinite(logit)]
            shown = ", ".join(map(str, bad[:10])) + (", …" if len(bad) > 10 else "")
            self._fail(job, EngineFailed(f"the engine's score is not a finite number for documents {shown}"))
        elif not job.missing:
            self._forget(job)
            job.resolve(
                Scores(
                    logits=job.logits,
                    inference_s=job.inference_s,
                    queue_s=max(0.0, time.monotonic() - job.submitted - job.inference_s),
                    batches=job.batches,
                    padding_ratio=padding_ratio(job.tokens(range(len(job.work.ids))), job.computed_tokens),
                )
            )

    def _fail(self, job: _Job, error: ServingError) -> None:
        self._forget(job)
        job.resolve(error)

    def _forget(self, job: _Job) -> None:
        if self._jobs.pop(job.number, None):
            self._scheduler.cancel(job.number)
            self._note_queue()

    def _close(self, reason: str) -> None:
        self._closed = self._closed or reason
        for job in list(self._jobs.values()):
            self._fail(job, closed_error(self._closed))
        self._changed.notify()

    def _note_queue(self) -> None:
        self._metrics.queued_tokens.set(self._scheduler.queued_tokens)
        self._metrics.queued_requests.set(self._scheduler.queued_requests)


class _Job:
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
        self._loop = loop

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


_Part = tuple[_Job, tuple[int, ...]]


def closed_error(reason: str) -> NotReady:
    return NotReady(reason, reason="closed", retry_after_s=1)
