"""The closed forms against values known exactly, and against a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cost_model import queueing


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


@pytest.mark.parametrize(
    ("servers", "load", "expected"),
    [
        (1, 0.5, 0.5),  # M/M/1 waits with the probability that the server is busy
        (2, 1.0, 1 / 3),
        (3, 2.0, 4 / 9),
        (5, 4.0, 0.5541125541125541),
        (10, 8.0, 0.40918015079644354),  # the textbook sum in exact fractions
    ],
)
def test_erlang_c_at_known_points(servers, load, expected):
    assert queueing.erlang_c(array(servers), array(load)) == pytest.approx(expected, rel=1e-9)


def test_erlang_c_agrees_with_the_recursion_for_thousands_of_servers():
    servers, load = 5000, 4950.0
    blocking = 1.0
    for count in range(1, servers + 1):
        blocking = load * blocking / (count + load * blocking)
    expected = blocking / (1 - load / servers * (1 - blocking))

    assert queueing.erlang_c(array(servers), array(load)) == pytest.approx(expected, rel=1e-9)


def test_m_m_c_mean_wait():
    # c = 2, a = 1, service 1 s: W = C / (c - a) = 1/3 s.
    probability, wait = queueing.waiting(array(2), array(1.0), array(1.0), array(1.0))

    assert probability * wait == pytest.approx(1 / 3)


@pytest.mark.parametrize("scv", [0.0, 0.3, 1.0, 4.0])
def test_one_server_is_pollaczek_khinchine(scv):
    rate, service = 0.8, 1.0
    second_moment = service**2 * (1 + scv)

    probability, wait = queueing.waiting(array(1), array(rate * service), array(service), array(scv))

    assert probability * wait == pytest.approx(rate * second_moment / (2 * (1 - rate * service)))


def test_exceedance_of_a_constant_service_with_an_exponential_wait_is_exact():
    time, probability, wait, service = 3.0, 0.7, 2.0, 1.0

    got = queueing.exceedance(array(time), array(probability), array(wait), array(service), array(0.0))

    assert got == pytest.approx(probability * math.exp(-(time - service) / wait), rel=1e-6)


def test_exceedance_against_a_million_draws():
    generator = np.random.default_rng(7)
    probability, wait, service, deviation = 0.6, 0.8, 1.0, 0.25
    draws = generator.normal(service, deviation, 1_000_000)
    draws += (generator.random(draws.size) < probability) * generator.exponential(wait, draws.size)

    for time in (0.8, 1.2, 2.0, 4.0):
        got = queueing.exceedance(array(time), array(probability), array(wait), array(service), array(deviation))[0]
        error = math.sqrt(got * (1 - got) / draws.size)
        assert abs(got - (draws > time).mean()) < 4 * error


def test_percentiles_invert_exceedance():
    fleet = array(0.0, 0.3, 0.9), array(0.0, 0.5, 20.0), array(0.1, 1.0, 3.0), array(0.0, 0.2, 0.0)
    for share in (0.5, 0.95, 0.99):
        at = queueing.percentile(share, *fleet)
        assert (queueing.exceedance(at * 1.0001, *fleet) <= 1 - share + 1e-6).all()
        assert (queueing.exceedance(at * 0.999, *fleet) >= 1 - share - 1e-6).all()


def test_without_waiting_or_spread_every_percentile_is_the_service():
    nothing = array(0.0)

    for share in (0.5, 0.95, 0.99):
        assert queueing.percentile(share, nothing, nothing, array(0.25), nothing) == pytest.approx(0.25, rel=1e-6)


@pytest.mark.parametrize(("utilisation", "deviation"), [(0.3, 0.05), (0.7, 0.05), (0.7, 0.3)])
def test_percentiles_against_a_simulated_queue(utilisation, deviation):
    """Lindley's recursion over 400,000 requests. The exponential tail errs to the safe side: p95 and p99 never too
    fast by 5 %, and up to a fifth too slow where a wait is a rest of one service and not exponential at all."""
    generator = np.random.default_rng(11)
    count = 400_000
    service = np.maximum(generator.normal(1.0, deviation, count), 0.0)
    gaps = generator.exponential(1 / utilisation, count)
    steps = np.concatenate([[0.0], service[:-1] - gaps[1:]])
    walk = np.cumsum(steps)
    waits = walk - np.minimum.accumulate(walk)
    responses = waits + service

    queue = queueing.waiting(array(1), array(utilisation), array(1.0), array(deviation**2))

    assert queue[0] * queue[1] == pytest.approx(waits.mean(), rel=0.05)
    for share in (0.5, 0.95, 0.99):
        predicted = queueing.percentile(share, *queue, array(1.0), array(deviation))
        least = 0.95 if share > 0.5 else 0.90
        assert least < predicted / np.quantile(responses, share) < 1.20


def test_servers_for_utilisation():
    load = array(0.01, 0.7, 0.71, 7.0)

    assert queueing.servers_for_utilisation(load, 0.7).tolist() == [1, 1, 2, 10]


def test_containers_cover_the_share_of_a_poisson_crowd():
    most = 200
    for load in (0.01, 1.0, 20.0, 150.0):
        count = int(queueing.containers_for(array(load), 0.999, most)[0])
        terms = [math.exp(-load + k * math.log(load) - math.lgamma(k + 1)) for k in range(count + 1)]
        assert sum(terms) >= 0.999
        assert count == 1 or sum(terms[:-1]) < 0.999


def test_more_containers_than_allowed_is_told_by_one_more():
    assert queueing.containers_for(array(300.0), 0.999, 200) == 201
