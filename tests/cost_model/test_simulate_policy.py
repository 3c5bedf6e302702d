"""The compiled policy is the container's: batch by batch and refusal by refusal, on whatever comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.simulate.outcomes import ANSWERED, LATE, MAKES_OTHERS_LATE, QUEUE_FULL, TOO_LARGE, TOO_LATE
from cost_model.simulate.policy import BatchLaw, Fleet, Policy, Routing, Served, serve
from cost_model.simulate.reference import serve_by_scheduler
from cost_model.simulate.traffic import Traffic, work_of
from rerank_toolkit.catalog.models import load_models


def traffic_of(arrivals: list[float], lengths: list[list[int]], *, quadratic: bool = False) -> Traffic:
    tokens = np.concatenate([np.array(own, dtype=np.int64) for own in lengths])
    return Traffic(
        arrivals=np.array(arrivals),
        offsets=np.concatenate([[0], np.cumsum([len(own) for own in lengths])]),
        tokens=tokens,
        work=(tokens * (100 + tokens) if quadratic else tokens).astype(float),
    )


def random_traffic(
    seed: int, requests: int, rate: float, *, documents: int = 25, tokens: float = 150, cv: float = 0.6
) -> Traffic:
    rng = np.random.default_rng(seed)
    sigma = np.sqrt(np.log1p(cv * cv))
    counts = rng.integers(1, 2 * documents, requests)
    lengths = np.clip(np.rint(rng.lognormal(np.log(tokens) - sigma**2 / 2, sigma, counts.sum())), 1, 512)
    return Traffic(
        arrivals=np.cumsum(rng.exponential(1 / rate, requests)),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        tokens=lengths.astype(np.int64),
        work=lengths * (100 + lengths),
    )


def assert_equal(one: Served, other: Served) -> None:
    assert one.batches == other.batches
    assert np.array_equal(one.batch, other.batch)
    assert np.array_equal(one.outcome, other.outcome)
    assert np.array_equal(one.instance, other.instance)
    assert np.array_equal(one.answered, other.answered, equal_nan=True)
    assert np.array_equal(one.inference, other.inference)
    assert np.array_equal(one.busy, other.busy)


gaps = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 3))
requests = st.lists(
    st.tuples(gaps, st.lists(st.one_of(st.integers(1, 300), st.integers(3_000, 6_000)), min_size=1, max_size=12)),
    min_size=1,
    max_size=25,
)
policies = st.builds(
    Policy,
    engines=st.integers(1, 3),
    token_budget=st.integers(1, 600),
    max_queued_tokens=st.sampled_from([200, 1_000, 10**9]),
    time_limit_s=st.sampled_from([0.5, 2.0, 10.0, 1e6]),
    margin=st.sampled_from([0.0, 0.2, 1.0]),
    work_per_second=st.sampled_from([None, 1e3, 1e6]),
)
laws = st.builds(
    BatchLaw,
    per_pass=st.sampled_from([0.0, 0.01, 0.3]),
    per_sequence=st.sampled_from([0.0, 0.01]),
    per_token=st.sampled_from([1e-4, 1e-3, 1e-2]),
    per_squared_token=st.sampled_from([0.0, 1e-6]),
    crowding=st.sampled_from([(1.0,), (1.0, 1.5), (1.0, 1.1, 2.0)]),
    padded=st.booleans(),
)
fleets = st.one_of(
    st.integers(1, 3),
    st.builds(
        lambda counts, gaps: Fleet(
            since=np.concatenate([[-np.inf], np.cumsum(gaps[: len(counts) - 1])]), count=np.array(counts)
        ),
        st.lists(st.integers(1, 4), min_size=1, max_size=4),
        st.lists(st.floats(0, 5), min_size=3, max_size=3),
    ),
)


workloads = st.builds(
    lambda coming, quadratic: traffic_of(
        np.cumsum([gap for gap, _ in coming]).tolist(), [lengths for _, lengths in coming], quadratic=quadratic
    ),
    requests,
    st.booleans(),
)
options = st.fixed_dictionaries(
    {
        "routing": st.sampled_from(["random", "least-outstanding-requests"]),
        "noise": st.lists(st.sampled_from([0.5, 0.9, 1.0, 1.3, 20.0]), min_size=1, max_size=5).map(np.array),
        "seed": st.integers(0, 100),
    }
)


@settings(max_examples=300, deadline=None)
@given(workloads, policies, laws, fleets, options)
def test_the_compiled_policy_does_what_the_scheduler_does(
    traffic: Traffic, policy: Policy, law: BatchLaw, fleet: Fleet | int, options: dict[str, Any]
) -> None:
    found = serve(traffic, law, policy, fleet, **options)

    assert_equal(found, serve_by_scheduler(traffic, law, policy, fleet, **options))


def fuzzed(seed: int) -> tuple[Traffic, BatchLaw, Policy, dict[str, Any]]:
    """A workload near what its machines can do, at limits near what its requests take: where decisions are close."""
    rng = np.random.default_rng([77, seed])
    engines = int(rng.integers(1, 4))
    documents = rng.choice([1, 4, 20])
    counts = rng.integers(1, 2 * documents + 1, 70)
    counts[rng.random(70) < 0.05] *= 20
    tokens = np.clip(np.rint(rng.lognormal(5, rng.choice([0.3, 1.0]), counts.sum())), 1, 4_000).astype(np.int64)
    law = BatchLaw(
        per_pass=rng.choice([0.0, 0.03]),
        per_token=2.0**-12,
        per_squared_token=rng.choice([0.0, 1e-7]),
        crowding=(1.0, 1.25),
        padded=bool(seed % 3),
    )
    service = float(law.seconds(traffic_of([0.0], [tokens.tolist()]))[0]) / 70 / engines
    gaps = rng.exponential(service / rng.choice([0.3, 0.9, 2.0]), 70)
    gaps[rng.random(70) < 0.1] *= 20
    policy = Policy(
        engines=engines,
        token_budget=int(rng.choice([100, 1024])),
        max_queued_tokens=int(rng.choice([3, 1_000]) * tokens.sum() / 70),
        time_limit_s=float(np.round(rng.choice([1.5, 4.0, 15.0]) * service * engines, 3)),
        margin=rng.choice([0.0, 0.2]),
        work_per_second=rng.choice([None, 2.0**12]),
    )
    traffic = Traffic(
        arrivals=np.cumsum(gaps),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        tokens=tokens,
        work=tokens.astype(float),
    )
    noise = np.where(rng.random(31) < 0.1, 12.0, rng.uniform(0.8, 1.2, 31))
    return traffic, law, policy, {"noise": noise, "routing": "least-outstanding-requests", "seed": seed}


def test_it_does_so_where_decisions_are_close() -> None:
    outcomes = np.zeros(MAKES_OTHERS_LATE + 1, dtype=np.int64)
    for seed in range(300):
        traffic, law, policy, options = fuzzed(seed)
        found = serve(traffic, law, policy, 1 + seed % 2, **options)
        assert_equal(found, serve_by_scheduler(traffic, law, policy, 1 + seed % 2, **options))
        outcomes += np.bincount(found.outcome, minlength=len(outcomes))

    assert outcomes[0] == 0, "nothing is left undecided"
    assert (outcomes[ANSWERED:] > 100).all(), "everything happens, and often"


@pytest.mark.parametrize(("load", "engines", "instances"), [(0.7, 1, 1), (0.9, 2, 3), (1.5, 2, 1), (3.0, 1, 2)])
def test_it_does_so_for_long_under_any_load(load: float, engines: int, instances: int) -> None:
    law = BatchLaw(per_pass=0.002, per_sequence=1e-4, per_token=1e-5, per_squared_token=1e-8)
    policy = Policy(engines=engines, time_limit_s=3.0)
    rate = load * engines * instances / 0.047
    traffic = random_traffic(seed=7, requests=1_500, rate=rate)
    noise = np.random.default_rng(3).lognormal(0, 0.2, 997)

    found = serve(traffic, law, policy, instances, routing="least-outstanding-requests", noise=noise)

    assert_equal(
        found,
        serve_by_scheduler(traffic, law, policy, instances, routing="least-outstanding-requests", noise=noise),
    )
    assert (found.refused > 0.2) == (load >= 1.5)


def test_it_does_so_where_requests_of_a_thousand_meet_small_ones() -> None:
    rng = np.random.default_rng(9)
    counts = rng.choice([1, 10, 1_000], 300, p=[0.5, 0.45, 0.05])
    tokens = rng.integers(20, 400, counts.sum())
    traffic = Traffic(
        arrivals=np.cumsum(rng.exponential(0.25, 300)),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        tokens=tokens,
        work=tokens.astype(float),
    )
    law, policy = BatchLaw(per_token=4e-5), Policy(engines=2)

    found = serve(traffic, law, policy)

    assert_equal(found, serve_by_scheduler(traffic, law, policy))
    assert (found.busy > 0.5 * traffic.arrivals[-1]).all()


def test_every_outcome_occurs_where_it_should() -> None:
    """One second a hundred tokens, known beforehand."""
    law, policy = (
        BatchLaw(per_token=0.01),
        Policy(max_queued_tokens=1_000, time_limit_s=8.0, margin=0.0, work_per_second=100),
    )
    traffic = traffic_of(
        [0.0, 0.1, 0.2, 0.3, 0.4, 20.0],
        [[100] * 5, [1_001], [100] * 4, [100] * 7 + [50], [10] * 60, [100]],
    )

    outcome = serve(traffic, law, policy).outcome.tolist()

    assert outcome == serve_by_scheduler(traffic, law, policy).outcome.tolist()
    assert outcome[0] == outcome[-1] == ANSWERED
    assert outcome[1] == TOO_LARGE
    assert {TOO_LATE, MAKES_OTHERS_LATE} & set(outcome)
    crowded = serve(traffic_of([0.0] * 4, [[100] * 5] * 4), law, Policy(max_queued_tokens=1_000, work_per_second=100))
    assert QUEUE_FULL in crowded.outcome
    slow = serve(traffic_of([0.0, 0.0], [[100] * 5] * 2), law, Policy(token_budget=100, time_limit_s=7.0))
    assert slow.outcome.tolist() == [LATE, LATE]


def test_who_is_due_now_is_dropped_before_the_next_is_let_in() -> None:
    """The first two fill the queue until the second's deadline, which is the moment at which the third comes."""
    law, policy = BatchLaw(per_token=0.01), Policy(token_budget=100, max_queued_tokens=600, time_limit_s=2.0)
    traffic = traffic_of([0.0, 0.0, 2.0], [[100] * 2, [100] * 5, [100] * 6])

    outcome = serve(traffic, law, policy).outcome.tolist()

    assert outcome == serve_by_scheduler(traffic, law, policy).outcome.tolist()
    assert outcome[1] == LATE
    assert outcome[2] != QUEUE_FULL


def test_a_bulk_request_near_its_end_is_not_pushed_beyond_its_deadline() -> None:
    """A second a thousand tokens. With two of its forty seconds left, the newcomer may take four from it, and has."""
    law, policy = BatchLaw(per_token=0.001), Policy(time_limit_s=42.0, margin=0.0, work_per_second=1_000)
    traffic = traffic_of([0.0, 38.05], [[100] * 400, [100] * 50])

    outcome = serve(traffic, law, policy).outcome.tolist()

    assert outcome == serve_by_scheduler(traffic, law, policy).outcome.tolist()
    assert outcome == [ANSWERED, MAKES_OTHERS_LATE]


def test_a_lone_request_takes_what_the_law_says() -> None:
    law = BatchLaw(per_pass=0.01, per_sequence=0.001, per_token=1e-4, per_squared_token=1e-7)
    tokens = [100, 200, 300]

    found = serve(traffic_of([5.0], [tokens]), law, Policy())

    seconds = 0.01 + 3 * 0.001 + 600 * 1e-4 + 1e-7 * sum(each**2 for each in tokens)
    assert found.answered[0] - 5.0 == pytest.approx(seconds)
    assert found.inference[0] == pytest.approx(seconds)
    assert law.seconds(traffic_of([5.0], [tokens])) == pytest.approx([seconds])


def test_the_log_holds_every_batch() -> None:
    traffic = random_traffic(seed=2, requests=50, rate=20)

    found = serve(traffic, BatchLaw(per_token=1e-5), Policy(engines=2), keep_batches=True)

    log = found.log
    assert len(log) == found.batches
    assert log["tokens"].sum() == traffic.tokens.sum()
    assert np.array_equal(np.bincount(found.batch), log["documents"])
    assert (np.diff(log["start"]) >= 0).all()
    for engine in (0, 1):
        own = log[log["engine"] == engine]
        assert (own["start"][1:] >= own["end"][:-1] - 1e-12).all(), "one batch at a time"


def test_least_outstanding_sends_to_who_has_fewest_and_random_to_all() -> None:
    traffic = random_traffic(seed=4, requests=3_000, rate=60)
    law = BatchLaw(per_token=1e-5)

    by_load = serve(traffic, law, Policy(), 4, routing="least-outstanding-requests")
    at_random = serve(traffic, law, Policy(), 4, routing="random")

    assert np.nanpercentile(by_load.answered - traffic.arrivals, 95) < np.nanpercentile(
        at_random.answered - traffic.arrivals, 95
    )
    share = np.bincount(at_random.instance, minlength=4) / 3_000
    assert share == pytest.approx([0.25] * 4, abs=4 * np.sqrt(0.25 * 0.75 / 3_000))


def test_work_is_the_flops_that_the_container_counts() -> None:
    from rerank_toolkit.catalog.shapes import flops

    for model in load_models().values():
        tokens = np.array([1, 16, 512, 16, 300])
        assert work_of(model.shape)(tokens).tolist() == [flops(model.shape, int(each)) for each in tokens]


LOADS = [0.2, 0.4, 0.6, 0.75, 0.9, 0.97]


@pytest.mark.parametrize("routing", ["random", "least-outstanding-requests"])
@pytest.mark.parametrize("engines", [1, 2])
def test_more_load_never_lowers_the_p95_and_more_instances_never_raise_it(routing: Routing, engines: int) -> None:
    """The same requests, closer together (common random numbers)."""
    law = BatchLaw(per_pass=0.001, per_token=1e-5)
    base = random_traffic(seed=11, requests=6_000, rate=1.0)

    def p95(load: float, instances: int) -> float:
        rate = load * engines / 0.041
        found = serve(base.at(base.arrivals / rate), law, Policy(engines=engines), instances, routing=routing)
        return float(np.percentile(found.latency(base.at(base.arrivals / rate))[500:], 95))

    by_load = [p95(load, 1) for load in LOADS]
    assert by_load == sorted(by_load)
    by_count = [p95(0.9, instances) for instances in (1, 2, 3, 6)]
    assert by_count == sorted(by_count, reverse=True)


@pytest.mark.parametrize(("instances", "engines"), [(1, 1), (2, 2)])
def test_engines_are_busy_for_arrivals_times_service(instances: int, engines: int) -> None:
    law = BatchLaw(per_token=1e-5)
    rate = 0.7 * instances * engines / (25 * 150e-5)
    traffic = random_traffic(seed=5, requests=20_000, rate=rate)

    found = serve(traffic, law, Policy(engines=engines), instances)

    arrivals = len(traffic.arrivals) / traffic.arrivals[-1]
    service = float(law.seconds(traffic).mean())
    busy = found.busy.sum() / traffic.arrivals[-1] / (instances * engines)
    assert found.refused == found.late == 0
    # all work is done but for what is queued at the last arrival
    assert busy == pytest.approx(arrivals * service / (instances * engines), rel=0.005)
