"""The closed forms against machines that serve as the container does: its own scheduler, in simulated time."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from cost_model import queueing
from rerank_toolkit.scheduling import Batch, Scheduler

FOREVER = math.inf


def simulate(
    utilisation: float, *, servers: int, requests: int, documents: int, tokens: float = 150, cv: float, seed: int = 3
) -> np.ndarray:
    """Response times in mean services. Arrivals are Poisson, lengths lognormal, time is proportional to tokens.

    A request goes to the server with the fewest outstanding; batches are of 2,048 tokens.
    """
    generator = np.random.default_rng(seed)
    sigma = math.sqrt(math.log(1 + cv**2))
    lengths = generator.lognormal(math.log(tokens) - sigma**2 / 2, sigma, (requests, documents)).clip(1).astype(int)
    arrivals = np.cumsum(generator.exponential(1 / (utilisation * servers), requests))
    seconds_per_token = 1 / lengths.sum(axis=1).mean()

    schedulers = [Scheduler(token_budget=2048, max_queued_tokens=10**9) for _ in range(servers)]
    computing: list[Batch | None] = [None] * servers
    outstanding = [0] * servers
    unanswered = np.full(requests, documents)
    answered = np.zeros(requests)
    ends: list[tuple[float, int]] = []

    def start(server: int, now: float) -> None:
        batch = computing[server] = schedulers[server].next_batch()
        if batch:
            heapq.heappush(ends, (now + batch.work * seconds_per_token, server))

    def end_batches(until: float) -> None:
        while ends and ends[0][0] < until:
            now, server = heapq.heappop(ends)
            batch = computing[server]
            schedulers[server].finished(batch, batch.work * seconds_per_token, now=now)
            for part in batch.slices:
                unanswered[part.request] -= len(part.documents)
                if not unanswered[part.request]:
                    answered[part.request] = now
                    outstanding[server] -= 1
            start(server, now)

    for request, now in enumerate(arrivals):
        end_batches(now)
        server = min(range(servers), key=lambda at: (outstanding[at], generator.random()))
        sizes = lengths[request].tolist()
        refusal = schedulers[server].submit(request, sizes, [float(size) for size in sizes], now=now, deadline=FOREVER)
        if refusal:
            raise AssertionError(refusal)
        outstanding[server] += 1
        if computing[server] is None:
            start(server, now)
    end_batches(FOREVER)
    return answered - arrivals


@pytest.mark.parametrize(
    ("servers", "utilisation", "documents", "cv"),
    [(1, 0.3, 25, 0.6), (1, 0.5, 25, 0.6), (1, 0.7, 25, 0.6), (1, 0.7, 10, 1.0), (4, 0.5, 25, 0.6), (4, 0.7, 25, 0.6)],
)
def test_percentiles_against_the_containers_own_scheduler(servers, utilisation, documents, cv):
    responses = simulate(utilisation, servers=servers, requests=20_000, documents=documents, cv=cv)

    load, service, deviation = (
        np.array([figure]) for figure in (servers * utilisation, 1.0, cv / math.sqrt(documents))
    )
    sharing = queueing.shared(np.array([servers]), load, service, deviation)

    assert 0.97 < (1 + sharing[0] * sharing[1]) / responses.mean() < 1.20
    for share, least, most in ((0.5, 0.95, 1.40), (0.95, 0.92, 1.20), (0.99, 0.85, 1.25)):
        predicted = queueing.percentile(share, service, *sharing)
        assert least < predicted / np.quantile(responses, share) < most
