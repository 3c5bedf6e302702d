"""A serverless endpoint, paid by the request.

Serverless shares nothing: each request has a container to itself, and one that finds none free is refused. Containers
come and go; one that must be started first makes its request wait (`queueing.cold_share`).
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from cost_model import queueing
from cost_model.bursts import bursts
from cost_model.delays import load_delays
from cost_model.hosts import Service
from cost_model.modes.items import data
from cost_model.modes.limits import too_much
from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.queueing import Array
from cost_model.sizing import Demand, Respond, Sizes, Sizing
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts import usage

SERVICE: Service = "serverless"

REFUSED = 0.001
"""Share of requests that may find no container free and be throttled."""


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    limits = load_limits().serverless
    start = candidate.server_start_s
    if start is not None and start > limits.container_start_s:
        return Unknown(
            f"its server takes {start:.0f} s to start, and serverless gives it {limits.container_start_s}",
            "its server takes longer to start than serverless gives it",
        )
    return too_much(candidate, workload, limits, "serverless")


def size(demand: Demand, workload: Workload) -> Sizes:
    return by_request(demand, workload, most=load_limits().serverless.max_concurrency)


def by_request(demand: Demand, workload: Workload, *, most: int) -> Sizes:
    """One container a request, of at most so many."""
    mix = bursts(workload)
    load = workload.peak_rate * (demand.service + demand.around)
    fewest = queueing.containers_for(load, REFUSED, most, mix)
    count = np.where(fewest > most, np.inf, fewest)
    cold = queueing.cold_share(workload.peak_rate, load, load_delays().container.keep_warm_s, most)
    nothing = np.zeros_like(load)
    return Sizes(
        count=count,
        least=nothing,
        hours=nothing,
        utilisation=load / count,
        headroom=lambda: queueing.load_for(REFUSED, most, mix) / load - 1,
        cold=cold,
        billed=np.ceil((demand.service + demand.around) * 1000 - 1e-9) / 1000,  # by the millisecond
        spilled=nothing,
        respond=respond_with_starts(demand, cold),
    )


def respond_with_starts(demand: Demand, cold: Array) -> Respond:
    """The service alone, and of the slowest requests that share that waited for a container too.

    Above the share of warm ones a percentile is that of a cold request: its start, and the service's own percentile.
    """
    nothing = np.zeros_like(demand.service)
    start = load_delays().container.start_s + np.nan_to_num(demand.start)

    def respond(share: float) -> Array:
        warm = demand.around + queueing.percentile(share, demand.service, nothing, nothing, demand.deviation)
        return np.asarray(np.where(cold > 1 - share, start + warm, warm))

    return respond


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    seconds = workload.requests_per_month * Decimal(repr(sizing.billed))
    return [usage.Serverless(memory_mb=candidate.host.memory_mb, seconds=seconds), data(workload)]
