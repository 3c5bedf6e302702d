"""A real-time endpoint whose count follows the load by target tracking.

The target is the measured knee, the most load per instance at which the limit still holds, times a safety factor as
in AWS's guide to load-testing an autoscaling configuration:

    SageMakerVariantInvocationsPerInstance = requests a second at the knee × 60 × safety

The factor leaves room for what the load can grow by before new instances answer, as steeply as it grows anywhere in
the workload's week: 1 / (1 + growth), at most MOST_SAFETY, and at least the 0.5 that AWS says to start with.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from cost_model.components import MONTH_HOURS
from cost_model.delays import load_delays
from cost_model.hosts import Service
from cost_model.modes.items import data, instances
from cost_model.modes.limits import too_much
from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.queueing import Array
from cost_model.sizing import Demand, Sizes, Sizing, knee_alone, limit_of, respond
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts import usage

SERVICE: Service = "instance"

METRIC = "SageMakerVariantInvocationsPerInstance"
LEAST_SAFETY, MOST_SAFETY = 0.5, 0.9
MOST_INSTANCES = 2
"""Times the count of the busiest hour: how far an endpoint may grow, and its bill with it."""
STEADY = 1.05
"""Where the busiest hour is hardly busier than the mean there is nothing to follow."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What target tracking is told, for one candidate."""

    invocations: float
    """A minute and instance."""
    formula: str


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    if not workload.traffic.hourly or workload.peak_rate <= STEADY * workload.mean_rate:
        return Unknown("the rate is the same in every hour: a fixed count does the same for no more")
    return too_much(candidate, workload, load_limits().realtime, "realtime")


def size(demand: Demand, workload: Workload) -> Sizes:
    limit_s = limit_of(workload, load_limits().realtime.timeout_s)
    bearable = knee_utilisation(demand, workload, limit_s)
    tracked = safety(workload) * bearable
    rates = np.asarray(workload.hourly_rates, dtype=float)  # (168,)
    hourly = instances_by_hour(rates, tracked / demand.work)  # (n, 168)
    busiest = (rates / hourly).argmax(axis=1)
    at = np.arange(len(hourly))
    count, load = hourly[at, busiest], rates[busiest] * demand.work
    most = hourly.max(axis=1)
    nothing = np.zeros_like(load)
    return Sizes(
        count=most,
        least=hourly.min(axis=1),
        hours=paid_hours(hourly) * MONTH_HOURS / rates.size,
        utilisation=load / count,
        headroom=lambda: MOST_INSTANCES * most * bearable / (workload.peak_rate * demand.work) - 1,
        cold=nothing,
        billed=nothing,
        spilled=nothing,
        respond=respond(demand, workload, count, load),
    )


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    return [instances(usage.Realtime, candidate, sizing, workload), data(workload)]


def knee_utilisation(demand: Demand, workload: Workload, limit_s: float) -> Array:
    """The most that one instance may be busy: at the knee, and never beyond the workload's bound."""
    alone = knee_alone(demand, workload, limit_s)
    return np.where(alone > 0, np.minimum(alone, workload.max_utilisation), workload.max_utilisation)


def safety(workload: Workload) -> float:
    """The factor on the knee; see above."""
    rates = np.asarray(workload.hourly_rates, dtype=float)
    following = np.roll(rates, -1)
    rise = float(np.max((following - rates) / np.maximum(rates, workload.mean_rate / 100)))
    delays = load_delays()
    reaction_h = (delays.tracking.out_s + delays.instance.start_s) / 3600
    return min(MOST_SAFETY, max(LEAST_SAFETY, 1 / (1 + max(rise, 0.0) * reaction_h)))


def instances_by_hour(rates: Array, bearable: Array) -> Array:
    """Counts (n, hours) for rates (hours,), where one instance bears so many requests a second, (n,)."""
    return np.maximum(np.ceil(rates[None, :] / bearable[:, None] - 1e-9), 1.0)


def paid_hours(hourly: Array) -> Array:
    """Instance-hours of a week (n,), with those that run on until the alarm gives them back."""
    fewer = np.maximum(np.roll(hourly, 1, axis=1) - hourly, 0.0)
    return np.asarray((hourly + fewer * load_delays().tracking.in_s / 3600).sum(axis=1))


def target(candidate: Candidate, workload: Workload) -> Target:
    """What target tracking of this candidate is told, and where it comes from."""
    demand = Demand.of([candidate])
    limit_s = limit_of(workload, load_limits().realtime.timeout_s)
    alone = float(knee_alone(demand, workload, limit_s)[0])
    bearable = float(knee_utilisation(demand, workload, limit_s)[0])
    rate, factor = bearable / float(demand.work[0]), safety(workload)
    invocations = math.floor(rate * 60 * factor * 100) / 100
    reaction_s = load_delays().tracking.out_s + load_delays().instance.start_s
    limited = f"p{workload.slo_percentile:g} ≤ {limit_s * 1000:,.0f} ms"
    if alone <= 0:
        kept = f"{workload.max_utilisation:.0%} busy (the limit {limited} is not kept even when idle)"
    elif bearable < alone:
        kept = f"{workload.max_utilisation:.0%} busy, the workload's bound, below the knee of {limited} at {alone:.0%}"
    else:
        kept = f"the knee, {alone:.0%} busy, up to which {limited}"
    return Target(
        invocations=invocations,
        formula=(
            f"{METRIC} = {rate:.4g} requests/s per instance at {kept} "
            f"(a request takes {float(demand.work[0]) * 1000:,.0f} ms of its time) × 60 × {factor:.2f}, a safety "
            f"factor for what the load grows by in the {reaction_s:,.0f} s before new instances answer"
        ),
    )
