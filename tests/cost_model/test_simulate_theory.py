"""The simulations against what theory knows exactly: inside the 99.9 % confidence interval, with fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest

from cost_model import queueing
from cost_model.simulate.fcfs import simulate, waiting_times
from cost_model.simulate.policy import BatchLaw, Policy, serve
from cost_model.simulate.simulated import Estimate, mean_of, percentile_of
from cost_model.simulate.traffic import Traffic

REQUESTS = 400_000
SURE = 0.999


def poisson(rate: float, count: int = REQUESTS, seed: int = 1) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))


def exponential(count: int = REQUESTS, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1.0, count)


def settled(values: np.ndarray) -> np.ndarray:
    return values[len(values) // 10 :]


@pytest.mark.parametrize(("servers", "utilisation"), [(1, 0.5), (1, 0.8), (2, 0.7), (5, 0.8), (20, 0.9)])
def test_exponential_service_waits_as_erlang_says(servers, utilisation):
    rate = servers * utilisation
    waits = settled(waiting_times(exponential(), poisson(rate), servers))
    waits_at_all = float(queueing.erlang_c(np.array(servers), np.array(rate)))

    assert waits_at_all in mean_of((waits > 1e-9).astype(float), SURE)
    assert waits_at_all / (servers - rate) in mean_of(waits, SURE)


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.8])
def test_constant_service_waits_half_as_long(utilisation):
    waits = settled(waiting_times(np.ones(REQUESTS), poisson(utilisation)))

    assert utilisation / (2 * (1 - utilisation)) in mean_of(waits, SURE)


@pytest.mark.parametrize("cv", [0.5, 1.5])
def test_any_service_waits_as_pollaczek_and_khinchine_say(cv):
    sigma = np.sqrt(np.log1p(cv**2))
    service = np.random.default_rng(3).lognormal(-(sigma**2) / 2, sigma, REQUESTS)
    waits = settled(waiting_times(service, poisson(0.6)))

    assert 0.6 * (1 + cv**2) / (2 * (1 - 0.6)) in mean_of(waits, SURE)


def test_response_times_of_mm1_are_exponential():
    found = simulate(exponential(), poisson(0.7))

    for percentile in (50, 95, 99):
        assert -np.log(1 - percentile / 100) / (1 - 0.7) in found.percentile(percentile, SURE)


def test_random_routing_makes_each_server_an_mm1():
    found = simulate(exponential(), poisson(3 * 0.6), servers=3, routing="random")

    assert 1 / (1 - 0.6) in found.mean(SURE)


@pytest.mark.parametrize("servers", [1, 3])
def test_servers_are_busy_as_long_as_there_is_work(servers):
    rate = 0.7 * servers
    found = simulate(exponential(), poisson(rate), servers=servers)

    # the arrivals' and the services' own deviation, over so many requests
    assert found.utilisation == pytest.approx(0.7, abs=4 * 0.7 * np.sqrt(2 / REQUESTS))
    assert found.servers == pytest.approx(servers)


def test_the_recursion_of_one_server_is_that_of_many():
    service, arrivals = exponential(5_000), poisson(0.9, 5_000)

    by_heap = waiting_times(np.repeat(service, 2), np.repeat(arrivals, 2), 2)  # two queues in lock-step

    assert by_heap.reshape(-1, 2) == pytest.approx(np.stack([waiting_times(service, arrivals)] * 2, axis=1), abs=1e-6)


def single_documents(arrivals: np.ndarray, seconds: np.ndarray) -> Traffic:
    """Requests of one document that alone fills a batch, in microseconds."""
    tokens = np.maximum(np.rint(seconds * 1e6), 1).astype(np.int64)
    return Traffic(arrivals=arrivals, offsets=np.arange(len(arrivals) + 1), tokens=tokens, work=tokens.astype(float))


def test_the_policy_with_a_document_a_request_and_a_batch_a_document_is_first_come_first_served():
    service, arrivals = exponential(50_000), poisson(0.8, 50_000)
    traffic = single_documents(arrivals, service)
    endless = Policy(token_budget=1, max_queued_tokens=2**62, time_limit_s=1e9)

    served = serve(traffic, BatchLaw(per_token=1e-6), endless)

    assert served.refused == served.late == 0
    waited = served.answered - arrivals - traffic.tokens / 1e6
    # Fair queueing takes first who is owed most: those of equal work in the order in which they came.
    assert np.mean(waited) == pytest.approx(np.mean(waiting_times(traffic.tokens / 1e6, arrivals)), rel=1e-6)


@pytest.mark.parametrize(("engines", "utilisation"), [(1, 0.8), (4, 0.8)])
def test_the_policy_s_engines_wait_as_erlang_says(engines, utilisation):
    count = 200_000
    rate = engines * utilisation
    traffic = single_documents(poisson(rate, count), exponential(count))
    endless = Policy(engines=engines, token_budget=1, max_queued_tokens=2**62, time_limit_s=1e9)

    served = serve(traffic, BatchLaw(per_token=1e-6), endless)

    waits = settled(served.answered - traffic.arrivals - traffic.tokens / 1e6)
    waits_at_all = float(queueing.erlang_c(np.array(engines), np.array(rate)))
    assert waits_at_all in mean_of((waits > 1e-6).astype(float), SURE)
    assert waits_at_all / (engines - rate) in mean_of(waits, SURE)


def test_intervals_hold_what_they_promise():
    """Of 400 intervals of 90 %, about 360 hold the truth: within four deviations of a binomial."""
    rng = np.random.default_rng(5)
    held = [0, 0]
    for _ in range(400):
        values = rng.exponential(1.0, 4_000)
        held[0] += 1.0 in mean_of(values, 0.9)
        held[1] += float(np.log(20)) in percentile_of(values, 95, 0.9)
    for count in held:
        assert abs(count - 360) < 4 * np.sqrt(400 * 0.9 * 0.1) + 6  # and little bias of a section's percentile


def test_what_has_no_answer_is_slower_than_everything():
    values = np.concatenate([np.ones(960), np.full(40, np.inf)])

    assert percentile_of(np.random.default_rng(1).permutation(values), 95) == Estimate(1.0, 1.0, np.inf)
    assert percentile_of(values, 99).value == np.inf
    assert percentile_of(np.ones(3), 50).low == -np.inf
