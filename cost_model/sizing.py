"""How many of a host carry a workload in its busiest hour, and how fast they answer: what all modes share.

An instance is one server: a request uses all of its cores, and the requests on it share its time. With routing by the
least outstanding requests, as infra deploys, they are servers that share all requests; with random routing, which is
SageMaker's default, each instance is a server of its own. A limit of the workload is to be kept in the busiest hour; a
mode's file (cost_model/modes) says what is kept running in the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import numpy as np

from cost_model import queueing
from cost_model.bursts import bursts
from cost_model.options import Candidate
from cost_model.queueing import Array, Sharing
from cost_model.workload import Workload

LEAST_BUSY = 0.02
"""A limit that instances keep only while they are idle beyond that share asks for a faster type, not for more."""

ALMOST = 1 - 1e-9
"""Of the instances: the most that closed forms can be asked about."""

LONGEST_S = 3600.0
"""Beyond which a percentile isn't looked for: where whole windows overrun, it is that of a queue that only grows."""

Respond = Callable[[float], Array]
"""From a share of the requests to the seconds (n,) that so many of them stay below, on each candidate."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of a request on each of n candidates, arrays (n,)."""

    service: Array
    """Mean compute of a request, all engines of the machine at work."""
    deviation: Array
    """Standard deviation of a request's compute, alone."""
    work: Array
    """Mean of what a request takes of the machine's time where others are always there: what capacity goes by."""
    around: Array
    """Mean time beyond queue and that: transport, tokenising, and what a request alone loses with engines idle."""
    start: Array
    """From the start of the server to its first answer; NaN where it isn't known."""
    knees: dict[tuple[float, float], Array] = msgspec.field(default_factory=dict)
    """Of single instances under Poisson arrivals, by limit and percentile: the rate doesn't move them."""

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> Demand:
        rows = [(c.speed.moments, c.scaled, c.speed.measured.profile.startup_s) for c in candidates]
        service = np.array([moments.compute_s * scaled.ratio for moments, scaled, _ in rows])
        alone = np.array([scaled.alone_s for _, scaled, _ in rows])
        return cls(
            service=service,
            deviation=np.array([scaled.deviation_s for _, scaled, _ in rows]),
            work=np.array([scaled.saturated_s for _, scaled, _ in rows]),
            around=np.array([moments.around_s for moments, _, _ in rows]) + np.maximum(alone - service, 0.0),
            start=np.array([np.nan if start is None else start * scaled.ratio for _, scaled, start in rows]),
        )


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """What n candidates need in one mode, arrays (n,)."""

    count: Array
    """Instances, containers or units in the busiest hour; infinite where none are enough."""
    least: Array
    """In the quietest."""
    hours: Array
    """That instances are paid for, or units kept ready, in a month and over all of them; 0 where requests are paid."""
    utilisation: Array
    """Of what runs in the busiest hour."""
    headroom: Callable[[], Array]
    """How much more traffic it can take before a limit breaks, as a share (n,); NaN where nothing bounds it."""
    cold: Array
    """Share of the requests that wait for something to start."""
    billed: Array
    """Seconds that a request is paid for; 0 where hours are."""
    spilled: Array
    """Share of the requests beyond what is kept ready."""
    respond: Respond


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """The same of one candidate, its response times evaluated. Times in seconds."""

    count: int
    least: int
    hours: float
    utilisation: float
    headroom: float
    cold: float
    billed: float
    spilled: float
    work: float
    """Mean of what a request takes of a busy machine's time."""
    p50: float
    p95: float
    p99: float
    limited: float
    """At the percentile that the workload limits."""


def size_rows(sizes: Sizes, demand: Demand, workload: Workload, *, only_limits: bool = False) -> list[Sizing | None]:
    """One by one; None where none are enough. With `only_limits` p50, p99 and headroom are left NaN."""
    p95 = sizes.respond(0.95)
    p50 = p99 = headroom = np.full_like(p95, np.nan)
    if not only_limits:
        p50, p99, headroom = sizes.respond(0.50), sizes.respond(0.99), sizes.headroom()
    percentile = workload.slo_percentile
    limited = p95 if percentile == 95 else sizes.respond(percentile / 100)
    columns = (
        sizes.count,
        sizes.least,
        sizes.hours,
        sizes.utilisation,
        headroom,
        sizes.cold,
        sizes.billed,
        sizes.spilled,
        demand.work,
        p50,
        p95,
        p99,
        limited,
    )
    return [
        Sizing(
            count=int(count),
            least=int(least),
            hours=hours,
            utilisation=utilisation,
            headroom=headroom,
            cold=cold,
            billed=billed,
            spilled=spilled,
            work=work,
            p50=p50,
            p95=p95,
            p99=p99,
            limited=limited,
        )
        if math.isfinite(count)
        else None
        for (
            count,
            least,
            hours,
            utilisation,
            headroom,
            cold,
            billed,
            spilled,
            work,
            p50,
            p95,
            p99,
            limited,
        ) in zip(*(column.tolist() for column in columns), strict=True)
    ]


def limit_of(workload: Workload, timeout_s: float) -> float:
    """Seconds that a request may take: the workload's limit, where it has none the time after which it is ended."""
    return timeout_s if workload.slo_ms is None else min(workload.slo_ms / 1000, timeout_s)


def _late(demand: Demand, workload: Workload, time: Array, load: Array, count: Array) -> Array:
    """Share of the requests that take longer than `time`, beyond the time around them.

    `count` instances are asked for `load` seconds a second on average over the windows of the hour, in each of which
    arrivals are Poisson; where a window asks for more than they have, all of it is late.
    """
    late = np.zeros_like(demand.service)
    for times, weight in bursts(workload):
        asked = load * times
        overrun = asked >= count * ALMOST
        shared = _sharing(demand, workload, count, np.where(overrun, count * ALMOST, asked))
        late += weight * np.where(overrun, 1.0, queueing.exceedance(time, demand.service, *shared))
    return late


def _sharing(demand: Demand, workload: Workload, count: Array, load: Array) -> Sharing:
    if workload.routing == "random":
        return queueing.shared(np.ones_like(count), load / count, demand.service, demand.deviation)
    return queueing.shared(count, load, demand.service, demand.deviation)


def respond(demand: Demand, workload: Workload, count: Array, load: Array) -> Respond:
    """Response times of always-on instances."""

    def times(share: float) -> Array:
        if workload.dispersion == 1:
            shared = _sharing(demand, workload, count, load)
            return np.asarray(demand.around + queueing.percentile(share, demand.service, *shared))
        low, high = np.zeros_like(load), np.full_like(load, LONGEST_S)
        for _ in range(queueing.BISECTIONS):
            middle = (low + high) / 2
            late = _late(demand, workload, middle, load, count) > 1 - share
            low, high = np.where(late, middle, low), np.where(late, high, middle)
        return np.asarray(demand.around + high)

    return times


def _too_slow(demand: Demand, workload: Workload, limit_s: float, load: Array, count: Array) -> Array:
    late = _late(demand, workload, limit_s - demand.around, load, count)
    return np.asarray(late > 1 - workload.slo_percentile / 100)


def knee(demand: Demand, workload: Workload, limit_s: float, count: Array) -> Array:
    """The largest utilisation at which so many instances keep the limit; 0 where not even an idle one does."""
    low, high = np.zeros_like(demand.service), np.ones_like(demand.service)
    for _ in range(queueing.BISECTIONS):
        middle = (low + high) / 2
        late = _too_slow(demand, workload, limit_s, middle * count, count)
        low, high = np.where(late, low, middle), np.where(late, middle, high)
    return np.where(low > LEAST_BUSY, low, 0.0)


def knee_alone(demand: Demand, workload: Workload, limit_s: float) -> Array:
    """The knee of a single instance."""
    one = np.ones_like(demand.service)
    if workload.dispersion > 1:
        return knee(demand, workload, limit_s, one)
    key = (limit_s, workload.slo_percentile)
    if key not in demand.knees:
        demand.knees[key] = knee(demand, workload, limit_s, one)
    return demand.knees[key]


def fewest_instances(demand: Demand, workload: Workload, limit_s: float, load: Array) -> Array:
    """Fewest that are busy at most as the workload allows and keep the limit.

    Where even an idle one is too slow for the limit, the fewest for the utilisation alone.
    """
    alone = knee_alone(demand, workload, limit_s)
    least = queueing.servers_for_utilisation(load, workload.max_utilisation)
    enough = np.maximum(least, np.ceil(load / np.where(alone > 0, alone, np.inf) - 1e-9))
    return fewest(least, enough, partial(_too_slow, demand, workload, limit_s, load))


def fewest(least: Array, enough: Array, fails: Callable[[Array], Array]) -> Array:
    """Per element the smallest whole count from `least` to `enough` that doesn't fail; `enough` is taken unasked.

    More must never fail where fewer did not.
    """
    low, high = least - 1, enough.copy()  # low fails, or is out of question
    while (high - low > 1).any():
        middle = np.maximum(np.floor((low + high) / 2), least)
        open_, failing = high - low > 1, fails(middle)
        low = np.where(np.logical_and(open_, failing), middle, low)
        high = np.where(np.logical_or(failing, ~open_), high, middle)
    return np.asarray(high)
