"""First come, first served: one queue before equal servers, or a queue before each.

What theory knows of such queues is what simulations are checked against.
"""

from __future__ import annotations

import heapq
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cost_model.simulate.simulated import Simulated

Array = NDArray[np.float64]


def simulate(
    service: Array,
    arrivals: Array,
    *,
    servers: int = 1,
    routing: Literal["one-queue", "random"] = "one-queue",
    warm_up: float = 0.1,
    seed: int = 0,
) -> Simulated:
    """G/G/c without bounds: requests at `arrivals`, sorted, (n,), take `service` seconds each, (n,).

    routing: whoever is free takes the next of all, or each request is sent to any server, to wait there.
    warm_up: share of the requests, the first ones, that isn't counted. seed: of random routing.
    """
    if routing == "one-queue":
        waits = waiting_times(service, arrivals, servers)
    else:
        waits = np.empty_like(service)
        at = np.random.default_rng(seed).integers(0, servers, len(service))
        for server in range(servers):
            own = at == server
            waits[own] = waiting_times(service[own], arrivals[own])
    first = int(len(service) * warm_up)
    since, until = arrivals[first], arrivals[-1]
    starts = arrivals + waits
    busy = np.clip(starts + service, since, until) - np.clip(starts, since, until)
    return Simulated(
        latency=(waits + service)[first:],
        refused=0.0,
        late=0.0,
        utilisation=float(busy.sum() / (servers * (until - since))),
        seconds=float(until - since),
        server_hours=float(servers * (until - since) / 3600),
    )


def waiting_times(service: Array, arrivals: Array, servers: int = 1) -> Array:
    """(n,), seconds in the queue.

    One server: Lindley's recursion, W' = max(0, W + S - A), in closed form, a random walk above its minimum (Asmussen:
    Applied Probability and Queues, III.6). More: by the times at which they are free (Kiefer, Wolfowitz 1955).
    """
    if servers == 1:
        walk = np.concatenate([[0.0], np.cumsum(service[:-1] - np.diff(arrivals))])[: len(service)]
        return np.asarray(walk - np.minimum.accumulate(walk))
    free = [0.0] * servers
    waits = []
    for arrival, seconds in zip(arrivals.tolist(), service.tolist(), strict=True):
        start = max(free[0], arrival)
        heapq.heapreplace(free, start + seconds)
        waits.append(start - arrival)
    return np.array(waits)
