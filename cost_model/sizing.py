"""How many instances or containers carry a workload, and how fast they answer.

An instance is one server: a request uses all of its cores, and the requests on it share its time. With random
routing, SageMaker's default, each instance is a server of its own; with least-outstanding-requests they are servers
that share all requests. Serverless shares nothing: each request has a container to itself, one that finds none free
is refused, and a cold start is not in its figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import numpy as np

from cost_model import queueing
from cost_model.options import Candidate
from cost_model.queueing import Array, Sharing
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import load_limits

REFUSED = 0.001
"""Share of requests that may find no serverless container free and be throttled."""
MOST_DOUBLINGS = 2
"""For a limit on p95, up to four times the instances needed without it: beyond, a faster type is the answer."""
SHARES = (0.50, 0.95, 0.99)


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    count: int
    """Instances, or requests under way at once."""
    utilisation: float
    p50: float
    p95: float
    p99: float
    compute: float
    """Mean compute of a request."""
    around: float
    """Mean time of a request beyond delay and compute."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of a request on each candidate."""

    service: Array
    deviation: Array
    around: Array


def size(candidates: Sequence[Candidate], workload: Workload) -> list[Sizing]:
    """For each candidate the fewest that keep the workload's utilisation and, where a few more can, its p95 and the
    time that SageMaker gives a request.

    A serverless count above what an endpoint may have means that the endpoint can't carry the load.
    """
    sizings: dict[int, Sizing] = {}
    for mode, sized in (("realtime", _realtime), ("serverless", _serverless)):
        places = [at for at, candidate in enumerate(candidates) if candidate.host.mode == mode]
        if places:
            demand = _demand([candidates[at] for at in places])
            sizings.update(zip(places, sized(demand, workload), strict=True))
    return [sizings[at] for at in range(len(candidates))]


def _demand(candidates: Sequence[Candidate]) -> Demand:
    rows = [(c.speed.moments, c.ratio) for c in candidates]
    return Demand(
        service=np.array([moments.compute_s * ratio for moments, ratio in rows]),
        deviation=np.array([moments.deviation_s * ratio for moments, ratio in rows]),
        around=np.array([moments.around_s for moments, _ in rows]),
    )


def _realtime(demand: Demand, workload: Workload) -> list[Sizing]:
    service, deviation = demand.service, demand.deviation
    load = workload.requests_per_second * service

    def sharing(count: Array) -> Sharing:
        if workload.routing == "random":
            return queueing.shared(np.ones_like(count), load / count, service, deviation)
        return queueing.shared(count, load, service, deviation)

    def too_slow(limit_s: float, servers: Array) -> Array:
        return np.asarray(queueing.exceedance(limit_s - demand.around, service, *sharing(servers)) > 0.05)

    count = queueing.servers_for_utilisation(load, workload.max_utilisation)
    count = fewest(count, partial(too_slow, load_limits().realtime.timeout_s))
    if workload.max_p95_ms is not None:
        count = fewest(count, partial(too_slow, workload.max_p95_ms / 1000))
    return _sizings(demand, count, load / count, sharing(count))


def _serverless(demand: Demand, workload: Workload) -> list[Sizing]:
    load = workload.requests_per_second * (demand.service + demand.around)
    count = queueing.containers_for(load, REFUSED, load_limits().serverless.max_concurrency)
    nothing = np.zeros_like(load)
    return _sizings(demand, count, load / count, (nothing, nothing, demand.deviation))


def _sizings(demand: Demand, count: Array, busy: Array, sharing: Sharing) -> list[Sizing]:
    p50, p95, p99 = (demand.around + queueing.percentile(share, demand.service, *sharing) for share in SHARES)
    return [
        Sizing(
            count=int(count[at]),
            utilisation=float(busy[at]),
            p50=float(p50[at]),
            p95=float(p95[at]),
            p99=float(p99[at]),
            compute=float(demand.service[at]),
            around=float(demand.around[at]),
        )
        for at in range(len(count))
    ]


def fewest(least: Array, fails: Callable[[Array], Array]) -> Array:
    """Per element the smallest whole count, at least `least` and at most four times it, that doesn't fail.

    `least` where none is found. More must never fail where fewer did not.
    """
    high = least.copy()
    for _ in range(MOST_DOUBLINGS):
        high = np.where(fails(high), high * 2, high)
    hopeless = fails(high)
    low = least - 1  # fails, or is out of question
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        failing = fails(np.maximum(middle, least))
        low, high = np.where(failing, middle, low), np.where(failing, high, middle)
        high = np.maximum(high, low + 1)
    return np.where(hopeless, least, high)
