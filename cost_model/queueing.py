"""Response times of machines that share their time among the requests on them, in closed form.

Requests arrive as a Poisson process. The container serves by start-time fair queueing, batch by batch, which comes
close to processor sharing: n requests on a machine each proceed at an n-th of its speed.

* Under processor sharing a request is answered on average after service / (1 - utilisation), whatever the spread of
  the services (Kleinrock 1967). Over `servers` that share all requests the mean is that of M/M/c, service +
  C / (servers - load) services with Erlang's C (Cohen 1979), and a quarter of a service more for those delayed:
  a request stays where it was sent, so the fewest outstanding do a little worse than one common queue.
* A request is not delayed at all if it finds a server free, 1 - C, and nobody joins it in its service. One joins it
  only when all servers are busy, which given that its own is has the probability C / utilisation: spread over the
  servers that makes C arrivals in a service, none with exp(-C). Exact for one server and constant service.
* The delay of the others is taken as exponential, a named approximation, and a tenth longer than that, a margin.
* Service is taken as normal with its mean and variance, a request being a sum over many documents. A longer request
  is delayed in proportion, so its deviation is stretched as the mean is.

Against simulation of the container's own scheduler, at utilisations of 0.2 to 0.8, lengths with a coefficient of
variation up to 1, requests of a fraction of a batch and of many: one server's p95 is from right to a third too slow
(a tenth at the usual 25 documents), its p99 from 5 % too fast to a quarter too slow, its p50 from right to two
fifths too slow. Over 2 to 8 servers p95 is from a tenth too fast to two fifths too slow, p99 from 17 % too fast to
two fifths too slow. With lengths that spread twice as wide p99 is up to a fifth too fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Sharing = tuple[Array, Array, Array]
"""Probability of a delay, its mean, and the deviation of the service as sharing stretches it."""

BISECTIONS = 32
"""Of a percentile: to a billionth of the span looked at."""

MARGIN = 1.1
"""On every delay, to err on the safe side."""

STAYS = 0.25
"""Of a service: what a delayed request waits longer because it stays on the machine that it was sent to."""


def erlang_c(servers: Array, load: Array) -> Array:
    """Probability that a request waits in M/M/c, for `load` = arrival rate × mean service < servers.

    Erlang's B is the Poisson probability of `servers` over its distribution function there, which unlike the
    textbook sum doesn't overflow; C = B / (1 - utilisation (1 - B)).
    """
    servers, load = np.broadcast_arrays(np.asarray(servers, float), np.asarray(load, float))
    if (servers == 1).all():  # with one server whoever finds it busy waits
        return np.array(load)
    busy = np.maximum(load, np.finfo(float).tiny)
    log_poisson = -busy + servers * np.log(busy) - special.gammaln(servers + 1)
    blocking = np.exp(log_poisson) / special.gammaincc(servers + 1, busy)
    return np.asarray(blocking / (1 - load / servers * (1 - blocking)))


def shared(servers: Array, load: Array, service: Array, deviation: Array) -> Sharing:
    """How requests delay each other."""
    finds_one = erlang_c(servers, load)
    joined = MARGIN * service * (1 / (servers - load) + np.where(servers > 1, STAYS, 0.0))
    mean = joined * finds_one
    # 1 - (1 - C) exp(-C), without the cancellation that a C near 0 would be lost in: it goes as 2 C there.
    probability = finds_one * np.exp(-finds_one) - np.expm1(-finds_one)
    delay = joined * np.divide(finds_one, probability, out=np.full_like(joined, 0.5), where=probability > 0)
    return np.asarray(probability), np.asarray(delay), np.asarray(deviation * (1 + mean / service))


def exceedance(time: Array, service: Array, probability: Array, delay: Array, deviation: Array) -> Array:
    """Probability that service plus delay last longer than `time`.

    Normal service alone, or with an exponential delay added: the exponentially modified normal distribution, in
    logarithms because its two factors overflow and underflow apart.
    """
    deviation = np.maximum(deviation, 1e-9 * service)
    delay = np.maximum(delay, 1e-4 * deviation)  # below this its share can't be told from rounding
    z = (time - service) / deviation
    ratio = deviation / delay
    alone = special.ndtr(-z)
    after_delay = np.exp(np.minimum(ratio * ratio / 2 - z * ratio + special.log_ndtr(z - ratio), 0.0))
    return np.asarray(np.minimum(alone + probability * after_delay, 1.0))


def percentile(share: float, service: Array, probability: Array, delay: Array, deviation: Array) -> Array:
    """The response time that a `share` of requests stays below, by bisection of `exceedance`."""
    low = np.zeros_like(service)
    high = service + 10 * deviation + delay * np.log(1e3 / (1 - share)) + 1e-9
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        late = exceedance(middle, service, probability, delay, deviation) > 1 - share
        low, high = np.where(late, middle, low), np.where(late, high, middle)
    return np.asarray(high)


def servers_for_utilisation(load: Array, max_utilisation: float) -> Array:
    """Fewest servers that are busy at most that share of the time."""
    return np.asarray(np.maximum(np.ceil(load / max_utilisation - 1e-9), 1.0))


Mix = Sequence[tuple[float, float]]
"""Multiples of a load, each with its share of the requests (cost_model.bursts)."""


def containers_for(load: Array, refused: float, most: int, mix: Mix = ((1.0, 1.0),)) -> Array:
    """Fewest containers, one request each, that refuse at most a share `refused`; `most` + 1 if none is enough.

    Erlang's B, which holds whatever the service (M/G/c/c), by its recursion over the containers.
    """
    times, shares = (np.array(column) for column in zip(*mix, strict=True))
    loads = times[:, None] * load
    count = np.full(load.shape, most + 1.0)
    blocking = np.ones_like(loads)
    for containers in range(1, most + 1):
        blocking = loads * blocking / (containers + loads * blocking)
        count = np.where((shares @ blocking <= refused) & (count > most), containers, count)
        if (count <= most).all():
            break
    return count


def refused_share(load: Array, containers: Array, mix: Mix = ((1.0, 1.0),)) -> Array:
    """Share of the requests that so many containers refuse, for `load` and `containers` of shapes that fit together:
    Erlang's B, by the same recursion."""
    load, containers = np.broadcast_arrays(load, containers)
    times, shares = (np.array(column) for column in zip(*mix, strict=True))
    loads = np.multiply.outer(times, load)
    blocking, reached = np.ones_like(loads), np.ones_like(loads)
    for count in range(1, int(containers.max(initial=0)) + 1):
        blocking = loads * blocking / (count + loads * blocking)
        reached = np.where(containers == count, blocking, reached)
    return np.tensordot(shares, reached, axes=1)


@lru_cache(maxsize=1024)
def load_for(refused: float, containers: int, mix: tuple[tuple[float, float], ...] = ((1.0, 1.0),)) -> float:
    """The largest load of which so many containers refuse at most that share, by bisection."""
    low, high = 0.0, float(containers)  # at a load of their number containers refuse more than a share that is borne
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if sum(share * _blocking(middle * times, containers) for times, share in mix) > refused:
            high = middle
        else:
            low = middle
    return low


def _blocking(load: float, containers: int) -> float:
    """Erlang's B of one load."""
    blocking = 1.0
    for count in range(1, containers + 1):
        blocking = load * blocking / (count + load * blocking)
    return blocking


def cold_share(rate: float, load: Array, keep_warm_s: float, most: int) -> Array:
    """Share of requests that no warm container takes, where an idle one is kept for so many seconds.

    Taken in order, container k gets what k - 1 before it were too busy for, a share B(k - 1) of all, and takes of it
    what doesn't go on to the next. It is cold if nothing came to it for `keep_warm_s`; what overflows to it is taken
    as a Poisson process, a named approximation: within a sixth of a simulation from one request in hours to many a
    second.
    """
    cold = np.zeros_like(load)
    before = np.ones_like(load)
    for containers in range(1, most + 1):
        after = load * before / (containers + load * before)
        cold += (before - after) * np.exp(-rate * before * keep_warm_s)
        before = after
        if before.max(initial=0.0) < 1e-9:
            break
    return cold
