"""An asynchronous endpoint that goes down to no instance when nothing comes.

Up time of a single instance follows from the cycle of an M/G/1 with set-up and delayed switching-off: off until a
request comes, a start, the backlog of it, and then busy and idle periods in turn until one idle period outlasts the
delay after which it is taken down. Where more than one instance is busy they run all hour. Start and delay are paid.
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
from cost_model.sizing import Demand, Respond, Sizes, Sizing, knee_alone, limit_of, respond
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts import usage

SERVICE: Service = "instance"

METRIC = "ApproximateBacklogSizePerInstance"

SAFETY = 0.5
"""Of the backlog that a limit allows: the rest is for what comes while new instances start."""


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What target tracking is told, for one candidate."""

    requests: float
    """Waiting or under way, of each instance."""
    formula: str


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    return too_much(candidate, workload, load_limits().async_, "async")


def size(demand: Demand, workload: Workload) -> Sizes:
    bearable = bearable_utilisation(demand, workload)
    rates = np.asarray(workload.hourly_rates, dtype=float)  # (168,)
    distinct, times = np.unique(rates, return_counts=True)
    up, cold = np.zeros_like(demand.service), np.zeros_like(demand.service)
    for rate, hours in zip(distinct.tolist(), times.tolist(), strict=True):
        if rate == 0:
            continue
        share, waits = up_time(rate, demand.work, bearable)
        up += share * hours
        cold += waits * rate * hours
    load = workload.peak_rate * demand.work
    count = np.maximum(np.ceil(load / bearable - 1e-9), 1.0)
    cold = cold / float(rates.sum())
    nothing = np.zeros_like(load)
    return Sizes(
        count=count,
        least=nothing,
        hours=up * MONTH_HOURS / rates.size,
        utilisation=load / count,
        headroom=lambda: np.full_like(load, np.nan),
        cold=cold,
        billed=nothing,
        spilled=nothing,
        respond=_respond(demand, workload, count, load, cold),
    )


def bearable_utilisation(demand: Demand, workload: Workload) -> Array:
    """The most that an instance may be busy (n,): the workload's bound or, below it, where a limit still holds."""
    limit_s = limit_of(workload, load_limits().async_.timeout_s) - load_delays().async_.around_s
    alone = knee_alone(demand, workload, limit_s)
    return np.where(alone > 0, np.minimum(alone, workload.max_utilisation), workload.max_utilisation)


def up_time(rate: float, work: Array, bearable: Array) -> tuple[Array, Array]:
    """Instances that are paid for on average (n,), and the share of requests that wait for a start; `work` is what each
    takes of an instance."""
    delays = load_delays()
    setup = delays.async_.wake_s + delays.instance.start_s
    load = rate * work
    several = np.ceil(load / bearable - 1e-9)
    busy_period = work / (1 - np.minimum(load, bearable))
    # Times of a cycle × the probability that an idle period outlasts the delay, for they overflow without it.
    ends = np.exp(-rate * delays.tracking.in_s)
    paid = ends * (delays.instance.start_s + (1 + rate * setup) * busy_period) + (1 - ends) * (1 / rate + busy_period)
    cycle = paid + ends * (1 / rate + delays.async_.wake_s)
    waiting = ends * (1 + rate * setup) / (rate * cycle)
    return np.where(several > 1, several, paid / cycle), np.where(several > 1, 0.0, waiting)


def _respond(demand: Demand, workload: Workload, count: Array, load: Array, cold: Array) -> Respond:
    """As of always-on instances, with the way through queue and S3; of so many as wait for a start that on top."""
    delays = load_delays()
    warm = respond(demand, workload, count, load)
    setup = delays.async_.wake_s + delays.instance.start_s

    def times(share: float) -> Array:
        return np.asarray(delays.async_.around_s + warm(share) + np.where(cold > 1 - share, setup, 0.0))

    return times


def backlog(candidate: Candidate, workload: Workload) -> Backlog:
    """The backlog of an instance beyond which another is asked for: acceptable latency over the time that a request
    takes (EC2 Auto Scaling user guide, "Scaling policy based on Amazon SQS").

    Acceptable is half of what the limit leaves after the time in which a new instance comes or, where no limit is
    stated, that time: what is worked off sooner is not worth one.
    """
    delays = load_delays()
    each = candidate.scaled.saturated_s
    coming = delays.tracking.out_s + delays.instance.start_s
    if workload.slo_ms is None:
        acceptable, told = coming, f"{coming:,.0f} s, in which a new instance comes,"
    else:
        left = workload.slo_ms / 1000 - delays.async_.around_s - coming
        acceptable = max(SAFETY * left, 0.0)
        told = (
            f"{acceptable:,.0f} s, {SAFETY:g} of what p{workload.slo_percentile:g} ≤ {workload.slo_ms / 1000:,.0f} s "
            f"leaves after the {coming:,.0f} s in which a new instance comes,"
        )
    requests = max(1.0, math.floor(acceptable / each))
    return Backlog(
        requests=requests,
        formula=f"{METRIC} = {told} / {each * 1000:,.0f} ms that a request takes of an instance's time, at least 1",
    )


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    return [instances(usage.Async, candidate, sizing, workload), data(workload)]
