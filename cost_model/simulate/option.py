"""The entry: one way to deploy one machine, under one workload."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from cost_model.simulate.asynchronous import Asynchronous, simulate_asynchronous
from cost_model.simulate.autoscaled import simulate_autoscaled
from cost_model.simulate.machine import Machine
from cost_model.simulate.policy import Routing
from cost_model.simulate.realtime import simulate_always_on
from cost_model.simulate.scaler import TargetTracking
from cost_model.simulate.serverless import Serverless, simulate_serverless
from cost_model.simulate.simulated import Simulated
from cost_model.simulate.traffic import Demand
from cost_model.simulate.transform import Transform, simulate_transform

REQUESTS = 1_500
MOST_REQUESTS = 5_000
ERROR = 0.05
"""Relative: half of the interval of the percentile that is asked for."""


class AlwaysOn(msgspec.Struct, frozen=True, kw_only=True):
    count: int


Deployment = AlwaysOn | TargetTracking | Serverless | Asynchronous | Transform


def simulate_option(
    machine: Machine,
    demand: Demand,
    deployment: Deployment,
    *,
    routing: Routing = "random",
    server_start_s: float = 0.0,
    percentile: float = 95.0,
    error: float = ERROR,
    requests: int = REQUESTS,
    most_requests: int = MOST_REQUESTS,
    seed: int = 0,
) -> Simulated:
    """Simulates `requests` requests or, where they don't tell the percentile within `error`, up to `most_requests`.

    server_start_s: of a serverless container's server, beside what the container takes to come. The same seed draws
    the same arrivals and documents whatever the machine, so options differ by themselves and not by chance.
    """

    def once(count: int) -> Simulated:
        match deployment:
            case AlwaysOn():
                return simulate_always_on(machine, demand, deployment.count, requests=count, routing=routing, seed=seed)
            case TargetTracking():
                return simulate_autoscaled(machine, demand, deployment, requests=count, routing=routing, seed=seed)
            case Serverless():
                return simulate_serverless(
                    machine, demand, deployment, server_start_s=server_start_s, requests=count, seed=seed
                )
            case Asynchronous():
                return simulate_asynchronous(machine, demand, deployment, requests=count, seed=seed)
            case Transform():
                return simulate_transform(machine, demand, deployment, seed=seed)

    if isinstance(deployment, Transform):
        return once(deployment.requests)
    return _until_sure(once, percentile, error, requests, most_requests)


def _until_sure(
    once: Callable[[int], Simulated], percentile: float, error: float, requests: int, most_requests: int
) -> Simulated:
    """Once more, with as many requests as the first run's error asks for: it falls with the root of their number."""
    found = once(requests)
    more = found.percentile(percentile).relative_error / error
    if more <= 1 or requests >= most_requests:
        return found
    return once(min(math.ceil(requests * more * more), most_requests) if math.isfinite(more) else most_requests)
