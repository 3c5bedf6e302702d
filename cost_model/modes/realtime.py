"""A real-time endpoint with a fixed count of instances, enough for the busiest hour."""

from __future__ import annotations

import numpy as np

from cost_model.components import MONTH_HOURS
from cost_model.hosts import Service
from cost_model.modes.items import data, instances
from cost_model.modes.limits import too_much
from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.sizing import Demand, Sizes, Sizing, fewest_instances, knee, limit_of, respond
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts import usage

SERVICE: Service = "instance"


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    return too_much(candidate, workload, load_limits().realtime, "realtime")


def size(demand: Demand, workload: Workload) -> Sizes:
    return always_on(demand, workload, load_limits().realtime.timeout_s)


def always_on(demand: Demand, workload: Workload, timeout_s: float) -> Sizes:
    """The fewest that keep the limits in the busiest hour, all month."""
    load = workload.peak_rate * demand.work
    limit_s = limit_of(workload, timeout_s)
    count = fewest_instances(demand, workload, limit_s, load)
    nothing = np.zeros_like(load)
    return Sizes(
        count=count,
        least=count,
        hours=count * MONTH_HOURS,
        utilisation=load / count,
        headroom=lambda: np.maximum(knee(demand, workload, limit_s, count) * count / load - 1, -1.0),
        cold=nothing,
        billed=nothing,
        spilled=nothing,
        respond=respond(demand, workload, count, load),
    )


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    return [instances(usage.Realtime, candidate, sizing, workload), data(workload)]
