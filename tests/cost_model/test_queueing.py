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


@pytest.mark.parametrize("utilisation", [0.1, 0.5, 0.7, 0.9])
def test_one_server_delays_on_average_as_processor_sharing_does_and_a_tenth_more(utilisation):
    probability, delay, _ = queueing.shared(array(1), array(utilisation), array(2.0), array(0.5))

    assert probability * delay == pytest.approx(1.1 * (2.0 / (1 - utilisation) - 2.0))
    assert probability == pytest.approx(1 - (1 - utilisation) * math.exp(-utilisation))


def test_a_longer_request_is_delayed_in_proportion():
    probability, delay, deviation = queueing.shared(array(1), array(0.75), array(2.0), array(0.5))

    assert deviation / 0.5 == pytest.approx((2.0 + probability * delay) / 2.0)


def test_exceedance_of_a_constant_service_with_an_exponential_delay_is_exact():
    time, probability, delay, service = 3.0, 0.7, 2.0, 1.0

    got = queueing.exceedance(array(time), array(service), array(probability), array(delay), array(0.0))

    assert got == pytest.approx(probability * math.exp(-(time - service) / delay), rel=1e-6)


def test_exceedance_against_a_million_draws():
    generator = np.random.default_rng(7)
    probability, delay, service, deviation = 0.6, 0.8, 1.0, 0.25
    draws = generator.normal(service, deviation, 1_000_000)
    draws += (generator.random(draws.size) < probability) * generator.exponential(delay, draws.size)

    for time in (0.8, 1.2, 2.0, 4.0):
        got = queueing.exceedance(array(time), array(service), array(probability), array(delay), array(deviation))[0]
        error = math.sqrt(got * (1 - got) / draws.size)
        assert abs(got - (draws > time).mean()) < 4 * error


def test_percentiles_invert_exceedance():
    fleet = array(0.1, 1.0, 3.0), array(0.0, 0.3, 0.9), array(0.0, 0.5, 20.0), array(0.0, 0.2, 0.0)
    for share in (0.5, 0.95, 0.99):
        at = queueing.percentile(share, *fleet)
        assert (queueing.exceedance(at * 1.0001, *fleet) <= 1 - share + 1e-6).all()
        assert (queueing.exceedance(at * 0.999, *fleet) >= 1 - share - 1e-6).all()


def test_without_delay_or_spread_every_percentile_is_the_service():
    nothing = array(0.0)

    for share in (0.5, 0.95, 0.99):
        assert queueing.percentile(share, array(0.25), nothing, nothing, nothing) == pytest.approx(0.25, rel=1e-6)


@pytest.mark.parametrize("servers", [1, 8, 16, 60, 400])
def test_the_slowest_are_no_faster_with_more_load_however_many_serve_it(servers):
    """Where hardly anybody waits, what they wait is still a number."""
    load = np.linspace(0, 0.95, 40) * servers
    one = np.ones_like(load)
    found = queueing.percentile(0.95, one, *queueing.shared(servers * one, load, one, 0.6 * one))

    assert found[0] == pytest.approx(1 + 0.6 * 1.645, rel=1e-3)
    assert (np.diff(found) > -1e-6).all()


def test_servers_for_utilisation():
    load = array(0.01, 0.7, 0.71, 7.0)

    assert queueing.servers_for_utilisation(load, 0.7).tolist() == [1, 1, 2, 10]


@pytest.mark.parametrize("load", [0.0001, 0.01, 1.0, 20.0, 150.0])
def test_containers_are_the_fewest_by_erlangs_b(load):
    def blocking(count: int) -> float:
        terms = [math.exp(k * math.log(load) - math.lgamma(k + 1)) for k in range(count + 1)]
        return terms[-1] / sum(terms)

    count = int(queueing.containers_for(array(load), 0.001, 200)[0])

    assert blocking(count) <= 0.001
    assert count == 1 or blocking(count - 1) > 0.001


def test_more_containers_than_allowed_is_told_by_one_more():
    assert queueing.containers_for(array(300.0), 0.001, 200) == 201


@pytest.mark.parametrize("load", [0.0001, 0.01, 1.0, 20.0, 150.0, 4000.0])
def test_what_containers_refuse_is_erlangs_b(load):
    got = queueing.refused_share(array(load, load), array(3.0, 40.0))

    for count, share in zip((3, 40), got.tolist(), strict=True):
        blocking = 1.0
        for server in range(1, count + 1):
            blocking = load * blocking / (server + load * blocking)
        assert share == pytest.approx(blocking, rel=1e-12)


def test_a_mix_refuses_what_its_parts_do():
    mix = ((0.5, 0.4), (4 / 3, 0.6))

    got = queueing.refused_share(array(8.0), array(10.0), mix)

    low, high = (queueing.refused_share(array(8.0 * times), array(10.0)) for times, _ in mix)
    assert got == pytest.approx(0.4 * low + 0.6 * high)
    assert queueing.containers_for(array(8.0), 0.01, 200, mix) > queueing.containers_for(array(8.0), 0.01, 200)


def test_the_largest_load_of_which_containers_refuse_a_share():
    load = queueing.load_for(0.001, 200)

    assert queueing.refused_share(array(load), array(200.0)) == pytest.approx(0.001, rel=1e-5)


@pytest.mark.parametrize(("rate", "keep"), [(1e-4, 300.0), (1e-3, 300.0), (0.01, 300.0), (0.5, 60.0)])
def test_the_share_of_cold_starts_against_a_simulation(rate, keep):
    """Services of a second each; the container that was used last is taken first."""
    generator = np.random.default_rng(11)
    cold = 0
    free: list[tuple[float, float]] = []  # when it was free again, when it is given up
    busy: list[float] = []
    now, requests = 0.0, 60_000
    for gap in generator.exponential(1 / rate, requests).tolist():
        now += gap
        free += [(end, end + keep) for end in busy if end <= now]
        busy = [end for end in busy if end > now]
        free = sorted(container for container in free if container[1] > now)
        if free:
            free.pop()
        else:
            cold += 1
        busy.append(now + 1.0)

    got = float(queueing.cold_share(rate, array(rate * 1.0), keep, 200)[0])

    assert got == pytest.approx(cold / requests, rel=0.2, abs=0.002)
