"""The policy: whom to take, whom to refuse, and what to compute next."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Hashable, Sequence

from rerank_toolkit.scheduling.batch import Batch, Slice
from rerank_toolkit.scheduling.entry import BULK_WEIGHT, Entry
from rerank_toolkit.scheduling.pace import OUTLIER, Pace
from rerank_toolkit.scheduling.refusal import Refusal

MARGIN = 0.2
"""Of the time left, what the container's admission keeps in hand. In the simulation of tests/test_scheduling.py, at
three times the capacity, one in nine of those taken is late without it, one in a thousand with it, and as many are
taken."""

DOUBT_AT_START = 3.0
DOUBT_AFTER_S = 10.0
"""What an idle engine adds to its allowance for each so many seconds since it last measured anything."""

LEAST_RETRY_S = 1.0

SMALLEST_SHARE = 256
"""Tokens: below, splitting a batch between engines costs more than it gains."""


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
        self._pace = Pace()
        self._measured_at: float | None = None
        self._entries: dict[Hashable, Entry] = {}
        self._waiting: dict[Hashable, Entry] = {}
        self._turns: list[tuple[float, int, Entry]] = []
        self._again: deque[tuple[Entry, Batch]] = deque()
        self._computing: dict[Batch, list[Entry]] = {}
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
        entry = Entry(request, tokens, work, deadline, self._virtual_time)
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
        entries: list[Entry] = []
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

    def _start(self, batch: Batch, entries: list[Entry]) -> Batch:
        for entry in entries:
            entry.computing += 1
        self._computing[batch] = entries
        self._computing_work += batch.work
        return batch

    def _end(self, batch: Batch) -> list[Entry]:
        """The requests that had documents in it, in the order of its slices."""
        entries = self._computing.pop(batch)
        self._computing_work = self._computing_work - batch.work if self._computing else 0.0
        for entry in entries:
            entry.computing -= 1
        return entries

    def _forget_if_done(self, entry: Entry) -> None:
        if entry.is_done and not entry.dropped:
            del self._entries[entry.request]

    def _take_turn(self, entry: Entry) -> None:
        self._arrivals += 1
        heapq.heappush(self._turns, (entry.tag, self._arrivals, entry))

    def _least_served(self) -> Entry | None:
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
