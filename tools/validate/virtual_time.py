"""One server in virtual time: the container's own policy over engines whose batches take what a law says."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from rerank_toolkit.scheduling import Batch, Scheduler

Lengths = Sequence[int]
"""Tokens of each document of a request, or of each sequence of a batch."""


@dataclass(frozen=True, slots=True)
class Run:
    """A batch that was computed."""

    engine: int
    start: float
    end: float
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Served:
    answered: list[float]
    """When each request had its last score, in the order in which they were given."""
    runs: list[Run]
    """In the order of their starts."""


def serve(
    arrivals: Sequence[float],
    lengths: Sequence[Lengths],
    work: Callable[[int], float],
    seconds: Callable[[Lengths], float],
    *,
    engines: int,
    token_budget: int,
) -> Served:
    """Serves requests that are admitted at `arrivals`, in any order; all are taken, however long they wait.

    work: of a document of so many tokens, as the container counts it. seconds: that a batch of such sequences takes.
    An engine that is free takes the next batch as soon as there is one, the first engine first.
    """
    scheduler = Scheduler(token_budget=token_budget, max_queued_tokens=2**62, engines=engines)
    sizes: dict[Hashable, Lengths] = dict(enumerate(lengths))
    unanswered = {request: len(own) for request, own in sizes.items()}
    answered: dict[Hashable, float] = {}
    runs: list[Run] = []
    free = list(range(engines))
    computing: list[tuple[float, int, Batch, float]] = []

    def start_batches(now: float) -> None:
        while free and (batch := scheduler.next_batch()):
            engine = heapq.heappop(free)
            sequences = tuple(sizes[part.request][document] for part in batch.slices for document in part.documents)
            took = seconds(sequences)
            runs.append(Run(engine, now, now + took, sequences))
            heapq.heappush(computing, (now + took, engine, batch, took))

    def end_batches(until: float) -> None:
        while computing and computing[0][0] <= until:
            now, engine, batch, took = heapq.heappop(computing)
            scheduler.finished(batch, took, now=now)
            heapq.heappush(free, engine)
            for part in batch.slices:
                unanswered[part.request] -= len(part.documents)
                if not unanswered[part.request]:
                    answered[part.request] = now
            start_batches(now)

    for request in sorted(range(len(arrivals)), key=arrivals.__getitem__):
        now = arrivals[request]
        end_batches(now)
        own = lengths[request]
        refusal = scheduler.submit(request, own, [work(tokens) for tokens in own], now=now, deadline=math.inf)
        if refusal:
            raise RuntimeError(f"a queue without bounds refused a request: {refusal}. This is a bug.")
        start_batches(now)
    end_batches(math.inf)
    return Served([answered[request] for request in sizes], runs)
