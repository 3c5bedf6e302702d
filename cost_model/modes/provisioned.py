"""A serverless endpoint with provisioned concurrency: enough units kept ready that starts don't show in the p95.

A request on a unit is billed at its own lower rate; what finds all units busy is served on demand, cold or not.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from cost_model import queueing
from cost_model.bursts import bursts
from cost_model.components import MONTH_HOURS
from cost_model.hosts import Service
from cost_model.modes import serverless
from cost_model.modes.items import data
from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.sizing import Demand, Sizes, Sizing
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts import usage

SERVICE: Service = "serverless"

SPILLED = 0.01
"""Share of the requests that may find all units busy, in the busiest hour."""


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    return serverless.offered(candidate, workload)


def size(demand: Demand, workload: Workload) -> Sizes:
    most = load_limits().serverless.max_concurrency
    on_demand = serverless.size(demand, workload)
    mix = bursts(workload)
    held = demand.service + demand.around
    load = workload.peak_rate * held
    ready = queueing.containers_for(load, SPILLED, most, mix)
    units = np.where(ready > most, np.inf, ready)
    rates, hours = np.unique(np.asarray(workload.hourly_rates, dtype=float), return_counts=True)
    weights = rates * hours / float(rates @ hours)
    spilled = weights @ queueing.refused_share(np.multiply.outer(rates, held), ready, mix)
    cold = np.minimum(on_demand.cold, queueing.refused_share(load, ready, mix))
    return Sizes(
        count=units,
        least=units,
        hours=units * MONTH_HOURS,
        utilisation=load / units,
        headroom=on_demand.headroom,
        cold=cold,
        billed=on_demand.billed,
        spilled=spilled,
        respond=serverless.respond_with_starts(demand, cold),
    )


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    memory_mb = candidate.host.memory_mb
    seconds = workload.requests_per_month * Decimal(repr(sizing.billed))
    beyond = seconds * Decimal(repr(round(sizing.spilled, 9)))
    return [
        usage.ProvisionedConcurrency(
            memory_mb=memory_mb,
            units=sizing.count,
            seconds=Decimal(MONTH_HOURS * 3600),
            busy_seconds=seconds - beyond,
        ),
        usage.Serverless(memory_mb=memory_mb, seconds=beyond),
        data(workload),
    ]
