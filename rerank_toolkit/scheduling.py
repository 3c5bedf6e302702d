"""The batching, fairness and admission policy of the container, pure: state and clock in, batches out.

The container runs it, and it can be simulated, for it knows no threads, sockets or clocks of its own.

    submit ─► refused at once, with the estimate
       └────► queued ─► next_batch ─► (an engine computes) ─► finished
                 │          ▲                  └─► lost ─► requeue: once more, alone
                 │          └───────────────────────────────────┘
                 └─ expire, cancel: dropped before compute

A document has tokens, which fill a batch, and work, which takes time; work is in any unit that is proportional
to compute, FLOPs for one. Requests share the machine by start-time fair queueing: the next document is always
that of the request that has been served the least work, so ten documents behind a thousand wait for about ten.
(Goyal, Vin, Cheng: Start-time Fair Queueing, 1996.) What a request of a thousand has beyond its first hundred or so
counts for more, so that small ones are soon past it. Several engines may compute at once, one batch each.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

RATE_MEMORY_S = 10.0
"""Compute seconds after which a measured batch counts half: smooths, yet follows a noisy host."""

OUTLIER = 4.0
"""A batch counts for at most so many times what was expected of it: a machine that was frozen for a minute is not
slow, and one that has become slow will say so again."""

MARGIN = 0.2
"""Of the time left, what the container's admission keeps in hand. In the simulation of tests/test_scheduling.py, at
three times the capacity, one in nine of those taken is late without it, one in a thousand with it, and as many are
taken."""

DOUBT_AT_START = 3.0
DOUBT_AFTER_S = 10.0
"""What an idle engine adds to its allowance for each so many seconds since it last measured anything."""

LEAST_RETRY_S = 1.0

BULK_TOKENS = 16_384
BULK_WEIGHT = 4
"""Of each request, what comes after about so many tokens' work counts for four times as much in its share: a request
of a dozen documents takes four fifths of the machine from one of a thousand, while requests of a size share alike."""

SMALLEST_SHARE = 256
"""Tokens: below, splitting a batch between engines costs more than it gains."""


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
    again: bool = False
    """Whether its documents were in a batch before whose engine was lost. Then they are all of one request, so that
    a request which brings down engines does so alone."""


class _Entry:
    """A request, from admission until its last document was computed."""

    def __init__(
        self, request: Hashable, tokens: Sequence[int], work: Sequence[float], deadline: float, tag: float
    ) -> None:
        self.request = request
        self.tokens = tokens
        self.work = work
        self.deadline = deadline
        self.tag = tag
        """Virtual time: the weighted work done for it, on top of where the others stood when it came."""
        # Longest first: a batch's documents are of about one length, and no long one is left for the end, when
        # other engines have nothing more to do.
        self.order = sorted(range(len(tokens)), key=lambda document: -tokens[document])
        self.work_after = [*accumulate((work[document] for document in reversed(self.order)), initial=0.0)][::-1]
        """Work of order[i] and what comes after it: what remains when i is next."""
        self._bulk = self.work_after[0] * BULK_TOKENS / max(1, sum(tokens))
        """Work after which what it gets counts for more."""
        self.next = 0
        self.computing = 0
        """Batches in compute that hold documents of it."""
        self.again = 0
        """Batches of it that wait to be computed once more."""
        self.dropped = False

    @property
    def remaining(self) -> float:
        return self.work_after[self.next]

    @property
    def is_bulk(self) -> bool:
        return self.work_after[0] - self.remaining > self._bulk

    @property
    def waits(self) -> bool:
        return self.next < len(self.order)

    @property
    def is_done(self) -> bool:
        return not (self.waits or self.computing or self.again)

    def take(self) -> int:
        """The next document, charged for."""
        document = self.order[self.next]
        self.tag += self.work[document] * (BULK_WEIGHT if self.is_bulk else 1)
        self.next += 1
        return document


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
    """Queued requests of one or more engines alike. Times are seconds of one monotonic clock, which the caller reads.

    token_budget: tokens in a batch; a longer document is a batch by itself.
    max_queued_tokens: tokens that may wait.
    time_limit_s: that the longest request may take; what takes longer by itself is too large.
    work_per_second: what is known of one engine's speed beforehand; it is learned from finished batches.
    margin: share of the time until a deadline that admission keeps in hand: engines may be slower than they were.

    Nothing is refused for time before a speed is known. `engines` is how many are up; the caller keeps it true.
    """

    def __init__(
        self,
        *,
        token_budget: int,
        max_queued_tokens: int,
        time_limit_s: float = math.inf,
        work_per_second: float | None = None,
        margin: float = 0.0,
        engines: int = 1,
    ) -> None:
        self.engines = engines
        self._token_budget = token_budget
        self._max_queued_tokens = max_queued_tokens
        self._time_limit_s = time_limit_s
        self._margin = margin
        self._initial_law = (0.0, 1 / work_per_second) if work_per_second else None
        self._pace = _Pace()
        self._measured_at: float | None = None
        self._entries: dict[Hashable, _Entry] = {}
        self._waiting: dict[Hashable, _Entry] = {}
        self._turns: list[tuple[float, int, _Entry]] = []
        self._again: deque[tuple[_Entry, Batch]] = deque()
        self._computing: dict[Batch, list[_Entry]] = {}
        self._computing_work = 0.0
        self._arrivals = 0
        self._virtual_time = 0.0
        self._queued_tokens = 0

    @property
    def queued_tokens(self) -> int:
        """Not in a batch that is being computed."""
        return self._queued_tokens

    @property
    def queued_requests(self) -> int:
        """With documents that were in no batch yet."""
        return len(self._waiting)

    def submit(
        self, request: Hashable, tokens: Sequence[int], work: Sequence[float], *, now: float, deadline: float
    ) -> Refusal | None:
        """Queues a request whole, or says why not. `tokens` and `work` are those of each of its documents, at
        least one. A request in the queue or in compute must not be submitted again."""
        if request in self._entries:
            raise ValueError(f"request {request!r} is queued already. This is a bug.")
        if not tokens or len(tokens) != len(work):
            raise ValueError(f"{len(tokens)} token counts for {len(work)} documents' work. This is a bug.")
        total_tokens = sum(tokens)
        refusal = self.refusal(total_tokens, sum(work), max(work), now=now, deadline=deadline)
        if refusal:
            return refusal
        entry = _Entry(request, tokens, work, deadline, self._virtual_time)
        self._entries[request] = self._waiting[request] = entry
        self._queued_tokens += total_tokens
        self._take_turn(entry)
        return None

    def refusal(self, tokens: int, work: float, longest: float, *, now: float, deadline: float) -> Refusal | None:
        """Why a request couldn't be taken now, or None. `work` is all of its work, `longest` that of its longest
        document, which only one engine can compute. With more of either it would not be taken either: who reads a
        request may ask of what was read so far."""
        law = self._law()
        if law is None:
            return self._refuse_for_room(tokens, None, 0.0)
        per_batch, per_work = law
        unit = per_work + per_batch * tokens / (work * self._token_budget) if work else per_work  # of a full batch
        ahead = (
            self._computing_work
            + sum(batch.work for _, batch in self._again)
            + sum(min(entry.remaining, work) for entry in self._waiting.values())
        )

        def seconds(work: float) -> float:
            shared = max(work / max(1, self.engines), longest)
            return max(per_batch + per_work * shared, unit * shared)

        estimate = seconds(ahead + work)
        left = (deadline - now) * (1 - self._margin)

        refusal = self._refuse_for_room(tokens, estimate, unit / max(1, self.engines))
        if refusal:
            return refusal
        doubt = self._doubt(now)
        if seconds(work) > doubt * self._time_limit_s:
            return Refusal("too_large", estimate, None)
        if estimate > (left if ahead else doubt * left):
            return Refusal("too_late", estimate, max(LEAST_RETRY_S, estimate - left))
        if self._makes_others_late(work, now, unit / max(1, self.engines)):
            return Refusal("makes_others_late", estimate, max(LEAST_RETRY_S, estimate))
        return None

    def expire(self, now: float) -> list[Hashable]:
        """Drops the requests whose deadline has passed, and names them. What is in a batch already is computed."""
        queued = (*self._waiting.values(), *(entry for entry, _ in self._again if not entry.waits))
        late = dict.fromkeys(entry.request for entry in queued if entry.deadline <= now)
        for request in late:
            self.cancel(request)
        return list(late)

    def cancel(self, request: Hashable) -> None:
        """Drops what is still queued of a request; one that isn't queued is no error."""
        entry = self._entries.pop(request, None)
        if not entry:
            return
        entry.dropped = True
        if self._waiting.pop(request, None):
            self._queued_tokens -= sum(entry.tokens[document] for document in entry.order[entry.next :])
        if entry.again:
            self._queued_tokens -= sum(batch.tokens for other, batch in self._again if other is entry)
            self._again = deque((other, batch) for other, batch in self._again if other is not entry)

    def next_batch(self) -> Batch | None:
        """The documents to compute next, or None if none wait. The caller reports it with `finished`, `failed` or
        `requeue`."""
        if self._again:
            lost, batch = self._again.popleft()
            lost.again -= 1
            self._queued_tokens -= batch.tokens
            return self._start(batch, [lost])
        enough = self._enough()
        taken: dict[Hashable, list[int]] = {}
        entries: list[_Entry] = []
        tokens, work = 0, 0.0
        while entry := self._least_served():
            size = entry.tokens[entry.order[entry.next]]
            if taken and (tokens >= enough or tokens + size > self._token_budget):
                break
            heapq.heappop(self._turns)
            if entry.request not in taken:
                entries.append(entry)
                taken[entry.request] = []
            self._virtual_time = entry.tag
            document = entry.take()
            taken[entry.request].append(document)
            tokens += size
            work += entry.work[document]
            self._queued_tokens -= size
            if entry.waits:
                self._take_turn(entry)
            else:
                del self._waiting[entry.request]
        if not taken:
            return None
        slices = tuple(Slice(request, tuple(documents)) for request, documents in taken.items())
        return self._start(Batch(slices, tokens, work), entries)

    def finished(self, batch: Batch, seconds: float, *, now: float) -> None:
        """Reports a batch as computed, in so many seconds."""
        self.failed(batch)
        if expected := self.expected_s(batch):
            seconds = min(seconds, OUTLIER * expected)
        self._pace.add(batch.work, seconds)
        self._measured_at = now

    def failed(self, batch: Batch) -> None:
        """Reports a batch as given up: the time it took tells nothing."""
        for entry in self._end(batch):
            self._forget_if_done(entry)

    def requeue(self, batch: Batch) -> None:
        """Reports that the engine was lost before it had computed the batch. Its documents are the next to be
        computed, each request's in a batch of its own."""
        for entry, part in zip(self._end(batch), batch.slices, strict=True):
            if entry.dropped:
                continue
            tokens = sum(entry.tokens[document] for document in part.documents)
            work = sum(entry.work[document] for document in part.documents)
            entry.again += 1
            self._again.append((entry, Batch((part,), tokens, work, again=True)))
            self._queued_tokens += tokens

    def expected_s(self, batch: Batch) -> float | None:
        """What the batch should take; None before anything was measured."""
        law = self._law()
        return law and law[0] + law[1] * batch.work

    def _enough(self) -> float:
        """Tokens of the next batch, if the budget allows: what is queued is shared out between the engines, so that
        each has something to do and they end at about the same time. (Polychronopoulos, Kuck: Guided
        Self-Scheduling, 1987.)"""
        return max(SMALLEST_SHARE, self._queued_tokens / max(1, self.engines))

    def _start(self, batch: Batch, entries: list[_Entry]) -> Batch:
        for entry in entries:
            entry.computing += 1
        self._computing[batch] = entries
        self._computing_work += batch.work
        return batch

    def _end(self, batch: Batch) -> list[_Entry]:
        """The requests that had documents in it, in the order of its slices."""
        entries = self._computing.pop(batch)
        self._computing_work = self._computing_work - batch.work if self._computing else 0.0
        for entry in entries:
            entry.computing -= 1
        return entries

    def _forget_if_done(self, entry: _Entry) -> None:
        if entry.is_done and not entry.dropped:
            del self._entries[entry.request]

    def _take_turn(self, entry: _Entry) -> None:
        self._arrivals += 1
        heapq.heappush(self._turns, (entry.tag, self._arrivals, entry))

    def _least_served(self) -> _Entry | None:
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

    def _refuse_for_room(self, tokens: int, estimate: float | None, unit: float) -> Refusal | None:
        """`unit` is seconds per work, of all engines together."""
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
        smaller = self._computing_work
        for index, entry in enumerate(ordered):
            ends = now + unit * (smaller + (len(ordered) - index) * entry.remaining)
            share = entry.remaining * (BULK_WEIGHT if entry.is_bulk else 1)
            promised = now + (entry.deadline - now) * (1 - self._margin)
            if ends <= entry.deadline and promised < ends + unit * min(work, share):
                return True
            smaller += entry.remaining
        return False
