"""Between the event loop and the engines: a compute thread for each, all fed by the shared scheduling policy.

score() ─► Scheduler.submit ─► a free thread: next_batch ─► Engine.score ─► the caller's future
   │ refused                        │ expired            │ lost: once more     │ raised, or not finite
   ▼                                ▼                    ▼ lost again          ▼
Refused                        TookTooLong          WorkerDied            EngineFailed, for that batch's requests alone
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Hashable, Sequence
from typing import Protocol

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
    WorkerDied,
    WouldBeLate,
)
from inference_container.job import Job, Scores, Work
from inference_container.logs import LOGGER, log_event
from inference_container.metrics import Metrics, padding_ratio
from inference_container.workers.worker import EngineRaised, WorkerLost
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.scheduling import MARGIN, Batch, Refusal, Scheduler

MOST_FAILURES = 5
"""Batches of one engine that may fail one after the other. One may hold something odd; but an error of CUDA, for one,
stays until the process ends: so it is ended, and another started."""

PATIENCE = 20.0
LEAST_PATIENCE_S = 30.0
MOST_PATIENCE_S = 300.0
"""A batch may take so many times what was expected, but at least so long; the most is for when nothing is known."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""Between tries to start an engine again: each pause is twice the one before."""

_LOOK_S = 1.0
"""How often an idle engine is looked at: whether it is still there."""

_Part = tuple[Job, tuple[int, ...]]
"""Those documents of a request that are in one batch."""


class Replica(Engine, Protocol):
    """One of several equal engines, which may be lost and started again."""

    @property
    def alive(self) -> bool:
        """Whether it could score now. From any thread."""

    def start(self) -> None:
        """Makes it alive, unless it is, however long that takes. Raises ToolkitError."""

    def end(self) -> None:
        """Makes it lost, whatever it does. From any thread."""

    def score(self, batch: RaggedBatch, *, timeout_s: float | None = None) -> NDArray[np.float32]:
        """Relevance logits, (sequences,). Raises EngineRaised; WorkerLost, also after `timeout_s`."""


class Dispatcher:
    """Feeds engines. `score` may be called from one event loop; each engine has a thread that waits for it."""

    def __init__(
        self,
        replicas: Sequence[Replica],
        *,
        token_budget: int,
        max_queued_tokens: int,
        time_limit_s: float,
        metrics: Metrics,
    ) -> None:
        self._metrics = metrics
        self._max_queued_tokens = max_queued_tokens
        self._time_limit_s = time_limit_s
        self._scheduler = Scheduler(
            token_budget=token_budget,
            max_queued_tokens=max_queued_tokens,
            time_limit_s=time_limit_s,
            margin=MARGIN,
            engines=sum(replica.alive for replica in replicas),
        )
        self._metrics.workers.set(self._scheduler.engines)
        self._jobs: dict[Hashable, Job] = {}
        self._numbers = itertools.count()
        self._fault = "no engine has started yet"
        self._cannot_start = False
        self._closed: str | None = None
        # Guards the scheduler, the jobs and _closed; notified when there may be something to compute.
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, args=[replica], name=f"compute-{number}", daemon=True)
            for number, replica in enumerate(replicas)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def fault(self) -> str | None:
        """Why nothing is computed here now; None while at least one engine is up."""
        if not any(thread.is_alive() for thread in self._threads):
            return "the compute threads have stopped"
        return None if self._scheduler.engines else self._fault

    @property
    def outage(self) -> str | None:
        """Why requests need not wait: no engine is up, and none could be started. One that is merely being started
        again takes seconds."""
        fault = self.fault
        return fault if self._cannot_start or self._closed else None

    async def score(self, work: Work, *, deadline: float) -> Scores:
        """The logits of `work`, by `deadline` on the clock of time.monotonic.

        Raises Refused at once if that won't be possible, TookTooLong if it wasn't, EngineFailed. Cancelling
        drops what is not yet being computed.
        """
        job = Job(next(self._numbers), work, asyncio.get_running_loop())
        try:
            self._submit(job, deadline)
            async with asyncio.timeout_at(deadline):
                return await job.future
        except TimeoutError:
            raise TookTooLong("the answer was not ready within the time limit", retry_after_s=1) from None
        finally:
            with self._changed:
                self._forget(job)

    def foresee(
        self, tokens: int, flops: float, longest_flops: float, *, found: str, partial: bool, deadline: float
    ) -> None:
        """Raises Refused if a request could not be taken that has at least so much work, that of its longest document
        included; `found` says in words whose tokens that is, `partial` that there is more of it."""
        now = time.monotonic()
        with self._changed:
            refusal = self._scheduler.refusal(tokens, flops, longest_flops, now=now, deadline=deadline)
            if refusal:
                raise self._explain(refusal, found, deadline - now, partial=partial)

    def close(self, reason: str, *, timeout_s: float) -> None:
        """Fails whatever is left with NotReady(reason) and stops the threads, waiting so long for batches in compute.

        A thread whose engine takes longer stops when that answers or is ended.
        """
        with self._changed:
            self._close(reason)
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _submit(self, job: Job, deadline: float) -> None:
        with self._changed:
            if self._closed:
                raise closed_error(self._closed)
            tokens = [len(sequence) for sequence in job.work.ids]
            now = time.monotonic()
            refusal = self._scheduler.submit(job.number, tokens, job.work.flops, now=now, deadline=deadline)
            if refusal:
                raise self._explain(refusal, f"the request has {sum(tokens):,} tokens", deadline - now)
            self._jobs[job.number] = job
            self._note_queue()
            self._changed.notify_all()

    def _explain(self, refusal: Refusal, found: str, left_s: float, *, partial: bool = False) -> Refused:
        """partial: the estimate is for a part of the request."""
        about = "more than" if partial else "about"
        estimate = "" if refusal.estimate_s is None else f"; it would take {about} {refusal.estimate_s:.1f} s"
        kind: type[Refused]
        match refusal.reason:
            case "too_large":
                kind = RequestTooLarge
                why = (
                    f"{found}, more than this server can score in {self._time_limit_s:g} s or queue "
                    f"({self._max_queued_tokens:,}); send fewer or shorter documents"
                )
            case "queue_full":
                kind = QueueFull
                why = (
                    f"{self._scheduler.queued_tokens:,} tokens wait already, {found}, and at most "
                    f"{self._max_queued_tokens:,} may wait"
                )
            case "too_late":
                kind, why = WouldBeLate, f"it can't be answered in the {max(0.0, left_s):.0f} s left"
            case "makes_others_late":
                kind, why = WouldBeLate, "taking this request would make requests late that were taken before"
        return kind(f"{why}{estimate}", reason=refusal.reason, retry_after_s=refusal.retry_after_s)

    def _run(self, replica: Replica) -> None:
        try:
            while not self._closed:
                if replica.alive:
                    self._feed(replica)
                else:
                    self._start_again(replica)
        finally:  # whatever ended the thread, nobody is left waiting
            with self._changed:
                if not any(thread.is_alive() for thread in self._threads if thread is not threading.current_thread()):
                    self._close("the compute threads have stopped")

    def _start_again(self, replica: Replica) -> None:
        """Tries until it is alive, or until closed."""
        pause_s = FIRST_PAUSE_S
        while not self._closed:
            try:
                replica.start()
            except ToolkitError as error:
                self._fault, self._cannot_start = str(error), True
                log_event("worker_not_started", level=logging.ERROR, detail=str(error), next_try_s=pause_s)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._cannot_start = False
                self._metrics.worker_restarts.inc()
                log_event("worker_started")
                self._count_engine(+1)
                return

    def _feed(self, replica: Replica) -> None:
        """Has it compute batches until it is lost, or until closed."""
        failures = 0
        try:
            while taken := self._wait_for_batch(replica):
                failures = 0 if self._compute(replica, *taken) else failures + 1
                if failures == MOST_FAILURES:
                    raise WorkerLost(f"the engine failed on the last {failures} batches")
        except WorkerLost as error:
            self._fault = f"{error}; another is being started"
            log_event("worker_lost", level=logging.ERROR, detail=str(error))
            replica.end()
            self._count_engine(-1)

    def _count_engine(self, change: int) -> None:
        with self._changed:
            self._scheduler.engines += change
            self._metrics.workers.set(self._scheduler.engines)

    def _wait_for_batch(self, replica: Replica) -> tuple[Batch, list[_Part]] | None:
        """The next batch, however long it takes to come; None when closed. Raises WorkerLost."""
        with self._changed:
            while not self._closed:
                if not replica.alive:
                    raise WorkerLost("a worker process ended between two batches")
                for number in self._scheduler.expire(time.monotonic()):
                    self._fail(self._jobs[number], TookTooLong("the time limit passed in the queue", retry_after_s=1))
                batch = self._scheduler.next_batch()
                self._note_queue()
                if batch:
                    parts = [(self._jobs[part.request], part.documents) for part in batch.slices]
                    now = time.monotonic()
                    for job, _ in parts:
                        job.begin(now)
                    return batch, parts
                self._changed.wait(_LOOK_S)
            return None

    def _compute(self, replica: Replica, batch: Batch, parts: list[_Part]) -> bool:
        """Whether the engine computed the batch. Raises WorkerLost, after the batch was seen to."""
        ragged = RaggedBatch.of(
            [job.work.ids[document] for job, documents in parts for document in documents],
            [job.work.type_ids[document] for job, documents in parts for document in documents],
        )
        start = time.monotonic()
        try:
            logits = self._score(replica, ragged, self._patience(batch))
        except WorkerLost as error:
            self._give_back(batch, parts, error)
            raise
        except EngineFailed as error:
            self._give_up(batch, parts, error)
            return False
        computed = computed_tokens(replica, ragged)
        now = time.monotonic()
        with self._changed:
            self._scheduler.finished(batch, now - start, now=now)
            first = 0
            for job, documents in parts:
                job.computed_tokens += job.tokens(documents) * computed / ragged.tokens
                self._add(job, documents, logits[first : first + len(documents)], now)
                first += len(documents)
        self._metrics.observe_batch(sequences=ragged.sequences, tokens=ragged.tokens, computed_tokens=computed)
        return True

    def _patience(self, batch: Batch) -> float:
        """Seconds after which an engine that has not answered is given up."""
        with self._changed:
            expected = self._scheduler.expected_s(batch)
        return MOST_PATIENCE_S if expected is None else max(LEAST_PATIENCE_S, PATIENCE * expected)

    def _score(self, replica: Replica, batch: RaggedBatch, patience_s: float) -> NDArray[np.float32]:
        try:
            logits = replica.score(batch, timeout_s=patience_s)
        except WorkerLost:
            raise
        except EngineRaised as error:  # which the worker has logged
            raise EngineFailed(f"the engine failed on this request ({error}); its log says more") from None
        except Exception as error:  # any, out of memory included: this batch fails, the server goes on
            LOGGER.exception("engine_raised")
            raise EngineFailed(
                f"the engine failed on this request ({type(error).__name__}); its log says more"
            ) from None
        if logits.shape != (batch.sequences,):
            raise EngineFailed(f"the engine gave {logits.shape} scores for {batch.sequences} documents. This is a bug.")
        return logits

    def _give_back(self, batch: Batch, parts: list[_Part], error: WorkerLost) -> None:
        if batch.again:
            self._give_up(batch, parts, WorkerDied(f"{error}, the second one that computed this request"))
            return
        now = time.monotonic()
        with self._changed:
            self._scheduler.requeue(batch)
            for job, _ in parts:
                job.end(now)
            self._note_queue()
            self._changed.notify_all()

    def _give_up(self, batch: Batch, parts: list[_Part], error: ServingError) -> None:
        with self._changed:
            self._scheduler.failed(batch)
            for job, _ in parts:
                self._fail(job, error)

    def _add(self, job: Job, documents: Sequence[int], logits: NDArray[np.float32], now: float) -> None:
        job.logits[list(documents)] = logits
        job.missing -= len(documents)
        job.end(now)
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
                    queue_s=max(0.0, now - job.submitted - job.inference_s),
                    batches=job.batches,
                    padding_ratio=padding_ratio(job.tokens(range(len(job.work.ids))), job.computed_tokens),
                )
            )

    def _fail(self, job: Job, error: ServingError) -> None:
        self._forget(job)
        job.resolve(error)

    def _forget(self, job: Job) -> None:
        if self._jobs.pop(job.number, None):
            self._scheduler.cancel(job.number)
            self._note_queue()

    def _close(self, reason: str) -> None:
        self._closed = self._closed or reason
        for job in list(self._jobs.values()):
            self._fail(job, closed_error(self._closed))
        self._changed.notify_all()

    def _note_queue(self) -> None:
        self._metrics.queued_tokens.set(self._scheduler.queued_tokens)
        self._metrics.queued_requests.set(self._scheduler.queued_requests)


def closed_error(reason: str) -> NotReady:
    return NotReady(reason, reason="closed", retry_after_s=1)
