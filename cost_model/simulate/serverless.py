"""Containers that come when they are needed: a request each, none shared, and no queue."""

from __future__ import annotations

import heapq
import math
from collections import deque

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.delays import load_delays
from cost_model.simulate.load import HOUR_S, is_steady, sample_week
from cost_model.simulate.machine import Machine
from cost_model.simulate.simulated import Simulated
from cost_model.simulate.traffic import Demand

Array = NDArray[np.float64]

_CONTAINER = load_delays().container


class Serverless(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's limit, and how its containers come and go. AWS publishes neither how long an idle container is
    kept nor how long one takes to start; `delays.toml` has what is assumed, and intervals."""

    concurrency: int
    provisioned: int = 0
    """Units that are always ready, and paid by the hour."""
    keep_warm_s: float = _CONTAINER.keep_warm_s
    start_s: float = _CONTAINER.start_s
    """Beside the start of the server itself."""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """(n,) each."""

    wait: Array
    """Seconds until a container was there; infinite for who was refused."""
    cold: NDArray[np.bool_]
    unit: NDArray[np.bool_]
    """Served by a provisioned unit."""
    warm: int
    """Containers at the end, units aside."""


def simulate_serverless(
    machine: Machine, demand: Demand, endpoint: Serverless, *, server_start_s: float, requests: int, seed: int = 0
) -> Simulated:
    """About `requests` requests of the workload's week.

    Each stretch begins with as many warm containers as it would leave behind itself.
    """
    rng = np.random.default_rng(seed)
    latencies, cold, units, seconds, busy = [], [], [], 0.0, 0.0
    start_s = endpoint.start_s + server_start_s
    for stretch in sample_week(demand, requests):
        whole_week = not is_steady(demand) and stretch.seconds > HOUR_S * 167
        rate = float(demand.hourly_rates[int((stretch.begin + stretch.seconds / 2) // HOUR_S) % 168])
        arrivals = demand.arrivals(rng, stretch.seconds, None if whole_week else rate)
        if not len(arrivals):
            continue
        traffic = machine.draw(demand, rng, arrivals)
        service = machine.alone(traffic, seed=seed) + machine.around(traffic)
        before = hold(arrivals, service, endpoint, start_s=0.0)
        served = hold(arrivals, service, endpoint, start_s=start_s, warm=before.warm)
        latencies.append(served.wait + service)
        cold.append(served.cold)
        units.append(served.unit)
        seconds += stretch.seconds
        busy += float(service[np.isfinite(served.wait)].sum())
    latency = np.concatenate(latencies) if latencies else np.empty(0)
    return Simulated(
        latency=latency,
        refused=float(np.mean(np.isinf(latency))) if len(latency) else 0.0,
        late=0.0,
        utilisation=busy / (seconds * endpoint.concurrency) if seconds else 0.0,
        seconds=seconds,
        server_hours=endpoint.provisioned * seconds / HOUR_S,
        cold_starts=float(np.mean(np.concatenate(cold))) if cold else 0.0,
        on_units=float(np.mean(np.concatenate(units))) if units else 0.0,
    )


def hold(arrivals: Array, service: Array, endpoint: Serverless, *, start_s: float, warm: int = 0) -> Served:
    """G/G/c/c with containers that start cold and expire: requests at `arrivals`, sorted, (n,), of `service` seconds.

    A request takes a provisioned unit, else the container that was used last, else a new one; with `concurrency`
    requests under way it is refused. `warm` containers are idle since the beginning.
    """
    wait, cold, unit = [0.0] * len(arrivals), [False] * len(arrivals), [False] * len(arrivals)
    ends: list[tuple[float, bool]] = []
    idle = deque([float(arrivals[0])] * warm)  # since when, the longest first
    free_units = endpoint.provisioned
    for number, (now, seconds) in enumerate(zip(arrivals.tolist(), service.tolist(), strict=True)):
        while ends and ends[0][0] <= now:
            end, was_unit = heapq.heappop(ends)
            if was_unit:
                free_units += 1
            else:
                idle.append(end)
        while idle and now - idle[0] > endpoint.keep_warm_s:
            idle.popleft()
        if len(ends) >= endpoint.concurrency:
            wait[number] = math.inf
            continue
        if free_units:
            free_units -= 1
            unit[number] = True
        elif idle:
            idle.pop()
        else:
            cold[number] = True
            wait[number] = start_s
        heapq.heappush(ends, (now + wait[number] + seconds, unit[number]))
    busy = sum(not was_unit for _, was_unit in ends)
    return Served(wait=np.array(wait), cold=np.array(cold, bool), unit=np.array(unit, bool), warm=len(idle) + busy)
