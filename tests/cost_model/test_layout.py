"""A lone request's batches in arithmetic are those of the policy that the container runs."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.service_time.layout import PASS_TOKENS, lay_out
from rerank_toolkit.scheduling import Scheduler


def by_the_policy(documents: int, tokens: int, engines: int, token_budget: int) -> tuple[int, set[tuple[int, int]]]:
    """Batches of all engines, and (batches, documents) of those that end last, in virtual time."""
    scheduler = Scheduler(token_budget=token_budget, max_queued_tokens=10**12, engines=engines)
    assert scheduler.submit("request", [tokens] * documents, [1.0] * documents, now=0, deadline=1e9) is None
    free = [(0, engine) for engine in range(engines)]
    done = dict.fromkeys(range(engines), (0, 0))
    ends = dict.fromkeys(range(engines), 0)
    while batch := scheduler.next_batch():
        at, engine = heapq.heappop(free)
        batches, computed = done[engine]
        done[engine] = batches + 1, computed + sum(len(part.documents) for part in batch.slices)
        ends[engine] = at + batch.tokens + PASS_TOKENS
        heapq.heappush(free, (ends[engine], engine))
    last = max(ends.values())
    return sum(batches for batches, _ in done.values()), {done[at] for at, end in ends.items() if end == last}


@settings(max_examples=300, deadline=None)
@given(
    documents=st.integers(1, 400),
    tokens=st.integers(1, 2000),
    engines=st.integers(1, 8),
    token_budget=st.sampled_from([512, 1024, 2048, 8192]),
)
def test_batches_are_those_of_the_policy(documents, tokens, engines, token_budget):
    batches, longest = by_the_policy(documents, tokens, engines, token_budget)

    found = lay_out(documents, tokens, engines=engines, token_budget=token_budget)

    assert found.batches == batches
    assert (found.longest_batches, found.longest_documents) in longest


def test_a_million_documents_are_laid_out_at_once():
    found = lay_out(1_000_000, 150.0, engines=2, token_budget=1024)

    assert found.batches == pytest.approx(1_000_000 / 6, rel=0.001)
    assert found.longest_documents == pytest.approx(500_000, rel=0.001)


def test_documents_that_differ_a_little_may_fill_a_share_with_one_fewer():
    alike, differing = (lay_out(4, 123.0, engines=2, token_budget=1024, spread=spread) for spread in (0.0, 7.0))

    assert (alike.longest_documents, differing.longest_documents) == (3, 2)
