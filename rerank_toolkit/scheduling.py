"""The batching, fairness and admission policy of the container, pure: state and clock in, batches out.

The container runs it, and it can be simulated, for it knows no threads, sockets or clocks of its own.

    submit ─► refused at once, with the estimate
       └────► queued ─► next_batch ─► (the caller computes) ─► finished
                 └─ expire, cancel: dropped before compute

A document has tokens, which fill a batch, and work, which takes time; work is in any unit that is proportional
to compute, FLOPs for one. Requests share the machine by start-time fair queueing: the next document is always
that of the request that has been served the least work, so ten documents behind a thousand wait for about ten.
(Goyal, Vin, Cheng: Start-time Fair Queueing, 1996.)
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

RATE_MEMORY_S = 10.0
"""Compute seconds after which a measured batch counts half: smooths, yet follows a noisy host."""

OUTLIER = 4.0
"""A batch counts for at most so many times what was expected of it: a machine that was frozen for a minute is not
slow, and one that has become slow will say so again."""

DOUBT_AT_START = 3.0
DOUBT_AFTER_S = 10.0
"""What an idle engine adds to its allowance for each so many seconds since it last measured anything."""

LEAST_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request can't be taken, and when to come again."""

    reason: Literal["too_large", "queue_full", "too_late", "makes_others_late"]
    estimate_s: float | None
    """Until its answer, had it been taken; None before anything was measured."""
    retry_after_s: float | None
    """None where waiting won't help: the request alone is too much."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The documents of one request that are in a batch, by their position in the request."""

    request: Hashable
    documents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    slices: tuple[Slice, ...]
    tokens: int
    work: float


@dataclass(slots=True, eq=False)
class _Waiting:
    request: Hashable
    tokens: Sequence[int]
    work: Sequence[float]
    work_after: list[float]
    """Work of documents i and later: what remains when i is next."""
    deadline: float
    served: float
    """Virtual time: the work done for it, on top of where the others stood when it came."""
    next: int = 0
    dropped: bool = False

    @property
    def remaining(self) -> float:
        return self.work_after[self.next]


@dataclass(slots=True)
class _Pace:
    """Seconds of a batch = per_batch + per_work * work, by least squares over recent batches."""

    batches: float = 0.0
    work: float = 0.0
    work_squared: float = 0.0
    seconds: float = 0.0
    work_seconds: float = 0.0

    def add(self, work: float, seconds: float) -> None:
        keep = 0.5 ** (seconds / RATE_MEMORY_S)
        self.batches = keep * self.batches + 1
        self.work = keep * self.work + work
        self.work_squared = keep * self.work_squared + work * work
        self.seconds = keep * self.seconds + seconds
        self.work_seconds = keep * self.work_seconds + work * seconds

    def law(self) -> tuple[float, float] | None:
        """(per_batch, per_work); None before anything was measured. Batches of one size, or times that don't grow
        with work, tell of no overhead: then all time is put down to work."""
        if not self.work:
            return None
        mean = self.seconds / self.work
        spread = self.batches * self.work_squared - self.work**2
        slope = (self.batches * self.work_seconds - self.work * self.seconds) / spread if spread > 0 else 0.0
        if spread <= 1e-6 * self.work**2 or not 0 < slope < mean:
            return 0.0, mean
        return (self.seconds - slope * self.work) / self.batches, slope


class Scheduler:
    """Queued requests of one engine. Times are seconds of one monotonic clock, which the caller reads.

    token_budget: tokens in a batch; a longer document is a batch by itself.
    max_queued_tokens: tokens that may wait.
    time_limit_s: that the longest request may take; what takes longer by itself is too large.
    work_per_second: what is known of the speed beforehand; it is learned from finished batches.

    Nothing is refused for time before a speed is known.
    """

    def __init__(
        self,
        *,
        token_budget: int,
        max_queued_tokens: int,
        time_limit_s: float = math.inf,
        work_per_second: float | None = None,
    ) -> None:
        self._token_budget = token_budget
        self._max_queued_tokens = max_queued_tokens
        self._time_limit_s = time_limit_s
        self._initial_law = (0.0, 1 / work_per_second) if work_per_second else None
        self._pace = _Pace()
        self._measured_at: float | None = None
        self._waiting: dict[Hashable, _Waiting] = {}
        self._turns: list[tuple[float, int, _Waiting]] = []
        self._arrivals = 0
        self._virtual_time = 0.0
        self._queued_tokens = 0
        self._computing = 0.0

    @property
    def queued_tokens(self) -> int:
        """Not yet in a batch."""
        return self._queued_tokens

    @property
    def queued_requests(self) -> int:
        """With documents not yet in a batch."""
        return len(self._waiting)

    def submit(
        self, request: Hashable, tokens: Sequence[int], work: Sequence[float], *, now: float, deadline: float
    ) -> Refusal | None:
        """Queues a request whole, or says why not. `tokens` and `work` are those of each of its documents, at
        least one. A request in the queue must not be submitted again."""
        if request in self._waiting:
            raise ValueError(f"request {request!r} is queued already. This is a bug.")
        if not tokens or len(tokens) != len(work):
            raise ValueError(f"{len(tokens)} token counts for {len(work)} documents' work. This is a bug.")
        total_tokens, total_work = sum(tokens), sum(work)
        refusal = self._refuse(total_tokens, total_work, now, deadline)
        if refusal:
            return refusal
        work_after = [*accumulate(reversed(work), initial=0.0)][::-1]
        entry = _Waiting(request, tokens, work, work_after, deadline, self._virtual_time)
        self._waiting[request] = entry
        self._queued_tokens += total_tokens
        self._take_turn(entry)
        return None

    def expire(self, now: float) -> list[Hashable]:
        """Drops the requests whose deadline has passed, and names them. What is in a batch already is computed."""
        late = [entry.request for entry in self._waiting.values() if entry.deadline <= now]
        for request in late:
            self.cancel(request)
        return late

    def cancel(self, request: Hashable) -> None:
        """Drops what is still queued of a request; one that isn't queued is no error."""
        entry = self._waiting.pop(request, None)
        if entry:
            entry.dropped = True
            self._queued_tokens -= sum(entry.tokens[entry.next :])

    def next_batch(self) -> Batch | None:
        """The documents to compute next, or None if none wait. The caller reports it with `finished` or `failed`."""
        documents: dict[Hashable, list[int]] = {}
        tokens, work = 0, 0.0
        while entry := self._least_served():
            size = entry.tokens[entry.next]
            if documents and tokens + size > self._token_budget:
                break
            heapq.heappop(self._turns)
            documents.setdefault(entry.request, []).append(entry.next)
            tokens += size
            work += entry.work[entry.next]
            self._queued_tokens -= size
            self._virtual_time = entry.served
            entry.served += entry.work[entry.next]
            entry.next += 1
            if entry.next < len(entry.tokens):
                self._take_turn(entry)
            else:
                del self._waiting[entry.request]
        if not documents:
            return None
        self._computing += work
        return Batch(tuple(Slice(request, tuple(taken)) for request, taken in documents.items()), tokens, work)

    def finished(self, batch: Batch, seconds: float, *, now: float) -> None:
        """Reports a batch as computed, in so many seconds."""
        self.failed(batch)
        if law := self._law():
            seconds = min(seconds, OUTLIER * (law[0] + law[1] * batch.work))
        self._pace.add(batch.work, seconds)
        self._measured_at = now

    def failed(self, batch: Batch) -> None:
        """Reports a batch as given up: the time it took tells nothing."""
        self._computing = max(0.0, self._computing - batch.work)

    def _take_turn(self, entry: _Waiting) -> None:
        self._arrivals += 1
        heapq.heappush(self._turns, (entry.served, self._arrivals, entry))

    def _least_served(self) -> _Waiting | None:
        while self._turns:
            entry = self._turns[0][2]
            if not entry.dropped:
                return entry
            heapq.heappop(self._turns)
        return None

    def _law(self) -> tuple[float, float] | None:
        return self._pace.law() or self._initial_law

    def _doubt(self, now: float) -> float:
        """By what factor an idle engine lets a request exceed its time: more, the less and the longer ago it measured.

        What is refused is not measured, so a speed learned on a disturbed machine would otherwise refuse for ever
        the very requests that would correct it.
        """
        if self._measured_at is None:
            return 1.0
        return 1 + DOUBT_AT_START / (1 + self._pace.seconds) + (now - self._measured_at) / DOUBT_AFTER_S

    def _refuse(self, tokens: int, work: float, now: float, deadline: float) -> Refusal | None:
        law = self._law()
        if law is None:
            return self._refuse_for_room(tokens, None, 0.0)
        per_batch, per_work = law
        unit = per_work + per_batch * tokens / (work * self._token_budget) if work else per_work  # of a full batch
        ahead = self._computing + sum(min(entry.remaining, work) for entry in self._waiting.values())
        estimate = max(per_batch + per_work * (ahead + work), unit * (ahead + work))
        left = deadline - now

        refusal = self._refuse_for_room(tokens, estimate, unit)
        if refusal:
            return refusal
        alone, doubt = max(per_batch + per_work * work, unit * work), self._doubt(now)
        if alone > doubt * self._time_limit_s:
            return Refusal("too_large", estimate, None)
        if estimate > (left if ahead else doubt * left):
            return Refusal("too_late", estimate, max(LEAST_RETRY_S, estimate - left))
        if self._makes_others_late(work, now, unit):
            return Refusal("makes_others_late", estimate, max(LEAST_RETRY_S, estimate))
        return None

    def _refuse_for_room(self, tokens: int, estimate: float | None, unit: float) -> Refusal | None:
        if tokens > self._max_queued_tokens:
            return Refusal("too_large", estimate, None)
        excess = self._queued_tokens + tokens - self._max_queued_tokens
        if excess <= 0:
            return None
        queued_s = unit * sum(entry.remaining for entry in self._waiting.values())
        return Refusal("queue_full", estimate, max(LEAST_RETRY_S, queued_s * excess / self._queued_tokens))

    def _makes_others_late(self, work: float, now: float, unit: float) -> bool:
        """Whether a newcomer takes so much of the machine that a promise already given would be broken.

        Under fair sharing the request with remaining work r ends when every other has had min(its own, r).
        A promise that is broken anyway doesn't count, or one hopeless request would shut the door.
        """
        ordered = sorted(self._waiting.values(), key=lambda entry: entry.remaining)
        smaller = self._computing
        for index, entry in enumerate(ordered):
            ends = now + unit * (smaller + (len(ordered) - index) * entry.remaining)
            if ends <= entry.deadline < ends + unit * min(work, entry.remaining):
                return True
            smaller += entry.remaining
        return False
