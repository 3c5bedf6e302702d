"""A lone request's batches in arithmetic are those of the policy that the container runs."""

from __future__ import annotations

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.service_time.layout import lay_out
from cost_model.service_time.passes import PASS_COST, Load, load_of
from rerank_toolkit.scheduling import Scheduler

LENGTHS = st.one_of(
    st.lists(st.integers(1, 2000), min_size=1, max_size=80),
    st.builds(lambda documents, tokens: [tokens] * documents, st.integers(1, 400), st.integers(1, 2000)),
)


def by_the_policy(lengths: list[int], engines: int, token_budget: int, *, padded: bool) -> tuple[int, list[Load]]:
    """Batches of all engines, and what each of those computes that end last, in virtual time."""
    scheduler = Scheduler(token_budget=token_budget, max_queued_tokens=10**12, engines=engines)
    assert scheduler.submit("request", lengths, [float(one) for one in lengths], now=0, deadline=1e9) is None
    free = [(0.0, engine) for engine in range(engines)]
    loads = [Load()] * engines
    batches = 0
    while batch := scheduler.next_batch():
        at, engine = heapq.heappop(free)
        load = load_of(sorted(lengths[one] for part in batch.slices for one in part.documents), padded=padded)
        loads[engine] = loads[engine].plus(load)
        heapq.heappush(free, (at + load.tokens + PASS_COST * load.passes, engine))
        batches += 1
    last = max(at for at, _ in free)
    return batches, [loads[engine] for at, engine in free if at == last]


@settings(max_examples=300, deadline=None)
@given(
    lengths=LENGTHS,
    engines=st.integers(1, 40),
    token_budget=st.sampled_from([512, 1024, 2048, 8192]),
    padded=st.booleans(),
)
def test_batches_are_those_of_the_policy(lengths, engines, token_budget, padded):
    batches, longest = by_the_policy(lengths, engines, token_budget, padded=padded)

    longest_first = tuple(sorted(map(float, lengths), reverse=True))
    found = lay_out(longest_first, engines=engines, token_budget=token_budget, padded=padded)

    assert found.batches == batches
    assert found.longest in longest


def test_all_of_it_is_computed():
    found = lay_out((300.0, 200.0, 100.0, 100.0), engines=2, token_budget=1024, padded=False)

    assert found.together == Load(found.batches, 4, 700, 150_000)
