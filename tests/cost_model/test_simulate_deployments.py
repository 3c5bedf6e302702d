"""What is around the policy: routing, scaling, containers, queues and jobs, against what is known of each."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model import queueing
from cost_model.delays import load_delays
from cost_model.options import Candidate, find_candidates, find_hosts
from cost_model.prices.book import load_prices
from cost_model.service_time import load_profiles
from cost_model.simulate.asynchronous import Asynchronous
from cost_model.simulate.autoscaled import follow, mean_compute
from cost_model.simulate.load import WEEK_S, requests_by_minute, sample_week
from cost_model.simulate.machine import Machine, measured_noise
from cost_model.simulate.option import AlwaysOn, simulate_option
from cost_model.simulate.policy import BatchLaw, Policy
from cost_model.simulate.realtime import Share, interleaved
from cost_model.simulate.scaler import Scaler, TargetTracking
from cost_model.simulate.serverless import Serverless, hold
from cost_model.simulate.simulated import mean_of
from cost_model.simulate.transform import Transform
from cost_model.workload import Workload
from cost_model.workload.arrivals import Arrivals
from rerank_toolkit.catalog.models import find_model

SURE = 0.999

MACHINE = Machine(
    law=BatchLaw(per_pass=0.002, per_token=2e-5, per_squared_token=1e-8),
    policy=Policy(engines=2),
    around_per_request=0.002,
    around_per_token=1e-6,
    max_tokens=512,
    noise=0.05,
)
OFFICE_HOURS = Arrivals(week={"mon-fri": {"0-7": 2, "8-18": 20, "19-23": 6}, "sat-sun": 3})


def workload(rate: float, *, arrivals: Arrivals | None = None) -> Workload:
    return Workload(
        requests_per_second=rate, documents_per_request=25, tokens_per_document=150, traffic=arrivals or Arrivals()
    )


SERVICE = mean_compute(MACHINE, workload(1.0), seed=0)


def tracking(target: float = 60.0, *, minimum: int = 1, maximum: int = 10) -> TargetTracking:
    return TargetTracking(metric="InvocationsPerInstance", target=target, minimum=minimum, maximum=maximum)


# Always on.


def test_a_lone_request_takes_as_long_on_its_own_as_in_a_quiet_hour():
    found = simulate_option(MACHINE, workload(0.001), AlwaysOn(count=1))
    traffic = MACHINE.draw(workload(1.0), np.random.default_rng(1), np.zeros(5_000))
    alone = MACHINE.alone(traffic) + MACHINE.around(traffic)

    assert found.percentile(50).value == pytest.approx(np.median(alone), rel=0.02)
    assert (found.refused, found.late) == (0, 0)


@pytest.mark.parametrize("routing", ["random", "least-outstanding-requests"])
def test_utilisation_is_arrivals_times_service_over_instances(routing):
    found = simulate_option(MACHINE, workload(0.6 * 4 / SERVICE), AlwaysOn(count=4), routing=routing, requests=20_000)

    # batches that are not full cost a little more than the mean says, which takes them as full
    assert found.utilisation == pytest.approx(0.6, rel=0.07)
    assert found.servers == pytest.approx(4)


def test_one_of_many_instances_stands_for_all_under_random_routing():
    """Its p95 is that of all of them, simulated one by one behind the router."""
    demand = workload(0.6 * 3 / SERVICE)
    by_one = simulate_option(MACHINE, demand, AlwaysOn(count=3), requests=60_000, error=1).percentile(95, SURE)
    from cost_model.simulate.policy import serve

    rng = np.random.default_rng(8)
    arrivals = demand.arrivals(rng, 60_000 / demand.mean_rate)
    traffic = MACHINE.draw(demand, rng, arrivals)
    served = serve(traffic, MACHINE.law, MACHINE.policy, 3, routing="random", noise=MACHINE.draw_noise(1))

    all_of_them = float(np.percentile((served.latency(traffic) + MACHINE.around(traffic))[6_000:], 95))
    assert all_of_them == pytest.approx(by_one.value, rel=0.1)


def test_what_cannot_be_served_is_refused_and_its_p95_endless():
    found = simulate_option(MACHINE, workload(3 / SERVICE), AlwaysOn(count=1), requests=8_000, error=9)

    assert found.refused > 0.3
    assert found.percentile(95).value == np.inf
    assert np.isfinite(found.mean().value)


def test_the_same_seed_gives_the_same_and_another_does_not():
    def p95(seed: int) -> float:
        return simulate_option(MACHINE, workload(0.5 / SERVICE), AlwaysOn(count=1), seed=seed).percentile(95).value

    assert p95(1) == p95(1) != p95(2)


@pytest.mark.parametrize("count", [1, 3])
def test_more_load_never_lowers_the_p95_and_more_instances_never_raise_it(count):
    def p95(load: float, count: int) -> float:
        demand = workload(load * 3 / SERVICE)
        return simulate_option(MACHINE, demand, AlwaysOn(count=count), requests=6_000, error=9).percentile(95).value

    by_load = [p95(load / 3 * count, count) for load in (0.2, 0.4, 0.6, 0.8, 0.95, 1.4, 3.0)]
    assert by_load == sorted(by_load)
    by_count = [p95(0.9, more) for more in (3, 4, 6, 12)]
    assert by_count == sorted(by_count, reverse=True)


def test_bursts_make_it_slower():
    calm = workload(0.6 / SERVICE)
    bursty = workload(0.6 / SERVICE, arrivals=Arrivals(dispersion=30, dispersion_seconds=10))

    p95 = [simulate_option(MACHINE, each, AlwaysOn(count=1), requests=6_000).percentile(95) for each in (calm, bursty)]
    assert p95[0].high < p95[1].low


def test_a_share_of_a_workload_is_as_dispersed_as_theory_says():
    whole = workload(50.0, arrivals=Arrivals(dispersion=9, dispersion_seconds=10))
    share = Share(whole, 4)
    counts = np.histogram(share.arrivals(np.random.default_rng(3), 40_000), np.arange(0, 40_001, 10))[0]

    assert share.dispersion == 3
    assert counts.var() / counts.mean() == pytest.approx(3, rel=0.15)
    assert counts.mean() == pytest.approx(125, rel=0.02)


def test_the_week_is_sampled_where_its_requests_are():
    steady = sample_week(workload(2.0), 1_000)
    assert [stretch.seconds for stretch in steady] == [500.0]

    course = workload(20.0, arrivals=OFFICE_HOURS)
    stretches = sample_week(course, 1_000)
    rates = [course.hourly_rates[int((each.begin + each.seconds / 2) // 3600)] for each in stretches]
    assert len(stretches) == 8
    assert sum(rate == course.peak_rate for rate in rates) >= 6, "five sixths of them come in office hours"
    assert all(0 <= each.begin <= WEEK_S - each.seconds for each in stretches)

    assert [each.seconds for each in sample_week(workload(1e-4, arrivals=OFFICE_HOURS), 1_000)] == [WEEK_S]


def test_parts_of_stretches_are_put_together():
    joined = interleaved([np.zeros(40), np.ones(20)])

    assert len(joined) == 60
    assert all(part.tolist() == [0, 0, 1] for part in joined.reshape(20, 3))


# Target tracking.


def observed(scaler: Scaler, metrics: list[float], *, begin: float = 0.0) -> list[int]:
    counts = []
    for minute, metric in enumerate(metrics):
        scaler.advance(begin + minute * 60)
        scaler.observe(metric, begin + minute * 60 + 60)
        counts.append(scaler.count)
    return counts


def test_it_scales_out_in_proportion_after_three_minutes_and_the_start():
    scaler = Scaler(tracking(60), 2)

    counts = observed(scaler, [90.0] * 12)

    start_minutes = round(load_delays().instance.start_s / 60)
    assert counts[: 3 + start_minutes] == [2] * (3 + start_minutes)
    assert counts[3 + start_minutes] == 3  # 2 × 90 / 60


def test_it_scales_in_after_fifteen_minutes_below_nine_tenths():
    assert observed(Scaler(tracking(60), 4), [20.0] * 16) == [4] * 14 + [2, 2]
    assert observed(Scaler(tracking(60), 4), [55.0] * 60) == [4] * 60
    assert observed(Scaler(tracking(60), 4), ([20.0] * 10 + [59.0]) * 4) == [4] * 44


def test_it_scales_in_by_what_the_busiest_of_those_minutes_needs():
    assert observed(Scaler(tracking(60), 4), [*[20.0] * 10, 44.0, *[1.0] * 4])[-1] == 3  # 4 × 44 / 60


@given(st.lists(st.floats(0, 1e4), max_size=120), st.integers(1, 5), st.integers(0, 20))
def test_it_stays_between_its_bounds(metrics, minimum, more):
    scaler = Scaler(tracking(60, minimum=minimum, maximum=minimum + more), 3)

    assert all(minimum <= count <= minimum + more for count in observed(scaler, metrics))
    assert minimum <= scaler.wanted <= minimum + more


def test_a_steady_load_at_the_target_changes_nothing():
    course = follow(np.full(500, 59 * 4), 0.5, tracking(60))

    assert set(course.count) == {4}


def test_a_step_is_followed_and_what_waits_meanwhile_is_worked_off():
    invocations = np.concatenate([np.full(60, 60), np.full(120, 240)])
    course = follow(invocations, 0.9, tracking(60))

    assert course.count[:60].tolist() == [1] * 60
    assert course.count[-1] == 4
    assert (course.paid >= course.count).all()
    assert course.backlog.max() > 0
    assert course.backlog[-1] == 0


def test_an_autoscaled_endpoint_costs_less_than_one_for_the_peak_and_serves_as_well():
    demand = workload(20 / SERVICE, arrivals=OFFICE_HOURS)
    target = 0.6 / SERVICE * 60
    peak = int(np.ceil(demand.peak_rate * SERVICE / 0.6))

    scaled = simulate_option(MACHINE, demand, tracking(target, maximum=2 * peak), requests=6_000)
    fixed = simulate_option(MACHINE, demand, AlwaysOn(count=peak), requests=6_000)

    assert scaled.servers < 0.7 * peak
    assert scaled.seconds == WEEK_S
    assert scaled.utilisation > fixed.utilisation * 1.3
    assert fixed.percentile(50).value < scaled.percentile(50).value < 1.5 * fixed.percentile(50).value
    assert scaled.refused < 0.02


def test_with_a_flat_load_it_is_an_endpoint_that_is_always_on():
    demand = workload(0.6 * 4 / SERVICE)

    scaled = simulate_option(MACHINE, demand, tracking(0.66 / SERVICE * 60), requests=30_000, error=1)
    fixed = simulate_option(MACHINE, demand, AlwaysOn(count=4), requests=30_000, error=1)

    assert scaled.servers == pytest.approx(4, abs=0.3)
    assert scaled.percentile(95).value == pytest.approx(fixed.percentile(95).value, rel=0.2)


def test_requests_of_a_week_are_as_many_and_as_dispersed_as_the_workload_says():
    demand = workload(3.0, arrivals=Arrivals(dispersion=5))
    counts = requests_by_minute(demand, np.random.default_rng(2))

    assert len(counts) == 7 * 24 * 60
    assert counts.mean() == pytest.approx(180, rel=0.01)
    assert counts.var() / counts.mean() == pytest.approx(5, rel=0.1)


# Serverless.


def poisson(rate: float, count: int) -> np.ndarray:
    return np.cumsum(np.random.default_rng(1).exponential(1 / rate, count))


@pytest.mark.parametrize(("load", "concurrency"), [(0.5, 1), (5.0, 6), (20.0, 22)])
def test_containers_refuse_as_erlangs_b_says(load, concurrency):
    service = np.random.default_rng(2).lognormal(-0.5, 1.0, 200_000)  # of mean 1, and any distribution does
    endpoint = Serverless(concurrency=concurrency, keep_warm_s=1e12)

    served = hold(poisson(load, 200_000), service, endpoint, start_s=0.0)

    blocked = 1.0
    for containers in range(1, concurrency + 1):
        blocked = load * blocked / (containers + load * blocked)
    assert blocked in mean_of(np.isinf(served.wait).astype(float)[20_000:], SURE)
    assert served.cold.sum() <= concurrency


def test_a_container_is_cold_when_nobody_came_while_it_was_kept():
    rate, keep_s = 0.002, 600.0
    served = hold(
        poisson(rate, 50_000), np.full(50_000, 1e-3), Serverless(concurrency=9, keep_warm_s=keep_s), start_s=0
    )

    assert np.exp(-rate * keep_s) in mean_of(served.cold.astype(float), SURE)


def test_provisioned_units_are_never_cold_and_come_first():
    endpoint = Serverless(concurrency=5, provisioned=2)
    served = hold(np.array([0.0, 0.1, 0.2, 5.0]), np.full(4, 1.0), endpoint, start_s=3.0)

    assert served.unit.tolist() == [True, True, False, True]
    assert served.cold.tolist() == [False, False, True, False]
    assert served.wait.tolist() == [0, 0, 3, 0]


@settings(max_examples=60)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 3))
def test_a_longer_memory_or_more_containers_never_make_more_requests_cold_or_refused(gaps, concurrency, more):
    arrivals, service = np.cumsum(gaps), np.full(len(gaps), 1.5)

    def outcome(concurrency: int, keep_warm_s: float) -> tuple[int, int]:
        served = hold(arrivals, service, Serverless(concurrency=concurrency, keep_warm_s=keep_warm_s), start_s=0.0)
        return int(served.cold.sum()), int(np.isinf(served.wait).sum())

    assert outcome(concurrency, 10.0)[0] >= outcome(concurrency, 30.0)[0]
    assert outcome(concurrency, 10.0)[1] >= outcome(concurrency + more, 10.0)[1]


def test_a_rare_request_starts_cold_and_a_frequent_one_hardly_ever():
    rare = simulate_option(MACHINE, workload(1e-4), Serverless(concurrency=10), server_start_s=1.0)
    frequent = simulate_option(MACHINE, workload(5.0), Serverless(concurrency=50), server_start_s=1.0)

    assert rare.cold_starts > 0.9
    assert rare.percentile(50).value > load_delays().container.start_s + 1.0
    assert frequent.cold_starts < 0.01
    assert frequent.server_hours == 0
    units = simulate_option(MACHINE, workload(1e-4), Serverless(concurrency=10, provisioned=1))
    assert units.cold_starts < 0.01
    assert units.on_units > 0.99
    assert units.servers == pytest.approx(1)


def test_a_burst_of_starts_is_not_mistaken_for_how_things_are():
    """600 a second hold 33 containers, of which 200 are allowed; begun with none, three in four were refused."""
    found = simulate_option(MACHINE, workload(600.0), Serverless(concurrency=200))

    assert found.refused == 0


# Asynchronous.


def to_zero(target: float = 5.0, maximum: int = 5) -> Asynchronous:
    return Asynchronous(
        tracking=TargetTracking(metric="ApproximateBacklogSizePerInstance", target=target, minimum=0, maximum=maximum)
    )


def test_a_request_a_day_wakes_an_instance_and_lets_it_go():
    found = simulate_option(MACHINE, workload(1 / 86_400), to_zero())

    delays = load_delays()
    wakes = delays.async_.wake_s + delays.instance.start_s
    assert found.cold_starts > 0.8  # two of a week's few may come together
    assert wakes - 60 <= found.percentile(50).value <= wakes + 70  # alarms look once a minute
    paid_s = delays.instance.start_s + delays.tracking.in_s
    assert found.server_hours * 3600 / 7 == pytest.approx(paid_s, rel=0.6)  # seven requests, more or less


def test_a_busy_queue_is_never_down_and_pays_for_what_it_computes():
    found = simulate_option(MACHINE, workload(0.6 / SERVICE), to_zero())

    assert found.cold_starts < 0.01
    assert found.servers == pytest.approx(1, abs=0.1)
    assert found.utilisation == pytest.approx(0.6, rel=0.05)


def test_a_queue_longer_than_one_instance_can_bear_gets_more():
    found = simulate_option(MACHINE, workload(2.5 / SERVICE), to_zero(maximum=6))

    assert 2.5 < found.servers <= 6.0
    assert found.percentile(95).value < 3600


def test_nothing_costs_nothing():
    found = simulate_option(MACHINE, workload(1e-9), to_zero())

    assert (found.server_hours, len(found.latency)) == (0, 0)
    assert np.isnan(found.percentile(95).value)


# Batch transform.


@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_job_lasts_within_graham_s_bounds(count):
    job = Transform(count=count, requests=2_000)

    found = simulate_option(MACHINE, workload(1.0), job)

    traffic = MACHINE.draw(workload(1.0), np.random.default_rng(0), np.zeros(2_000))
    each = MACHINE.alone(traffic) + MACHINE.around(traffic)
    lasts = found.seconds - job.start_s
    assert each.sum() / count <= lasts <= each.sum() / count + each.max()
    assert found.server_hours == pytest.approx(found.seconds * count / 3600)


def test_a_long_job_lasts_in_proportion():
    def lasts(requests: int) -> float:
        job = Transform(count=2, requests=requests)
        return simulate_option(MACHINE, workload(1.0), job).seconds - job.start_s

    assert lasts(1_000_000) / lasts(10_000) == pytest.approx(100, rel=0.02)


# What is measured, on what is sold.


@pytest.fixture(scope="module")
def candidates() -> list[Candidate]:
    """One for each kind of host, number of engines and dtype."""
    measured, _ = load_profiles()
    hosts, _ = find_hosts(load_prices(), ["us-east-1"])
    found, _ = find_candidates([find_model("tiny")], hosts, workload(1.0), measured)
    return list({(each.host.kind, each.scaled.engines, each.dtype): each for each in found}.values())


def test_a_candidate_alone_takes_what_its_closed_form_says(candidates):
    """Whatever its engines: where they have but one or two documents each, a request takes as long as its longest."""
    rng = np.random.default_rng(3)
    for candidate in candidates:
        machine = Machine.of(candidate, workload(1.0))
        mean = float(machine.alone(machine.draw(workload(1.0), rng, np.zeros(400))).mean())
        assert mean == pytest.approx(candidate.scaled.alone_s, rel=0.08)
    assert {each.host.kind for each in candidates} >= {"cpu", "gpu", "serverless"}


def test_noise_is_measured_from_a_cell_s_repetitions():
    measured, _ = load_profiles()

    for one in measured:
        assert 0 <= measured_noise(one.profile) < 0.5
    alone = msgspec.structs.replace(
        measured[0].profile, cells=[msgspec.structs.replace(cell, samples=1) for cell in measured[0].profile.cells]
    )
    assert measured_noise(alone) == 0


def test_the_closed_form_of_sharing_is_near_what_is_simulated():
    """At the usual 25 documents and 60 % busy; docs/validation.md has the whole table."""
    traffic = MACHINE.draw(workload(1.0), np.random.default_rng(4), np.zeros(5_000))
    alone = MACHINE.alone(traffic)
    found = simulate_option(MACHINE, workload(0.6 / float(alone.mean())), AlwaysOn(count=1), requests=30_000, error=1)
    sharing = queueing.shared(np.ones(1), np.array([0.6]), np.array([alone.mean()]), np.array([alone.std()]))

    closed = float(queueing.percentile(0.95, np.array([alone.mean()]), *sharing)[0])
    assert closed == pytest.approx(found.percentile(95).value, rel=0.35)


def test_no_compiler_is_imported_before_something_is_simulated():
    code = "import sys, cost_model.simulate.option; sys.exit('numba' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
