"""How an option of fixed size answers under other loads than the workload's, in closed form."""

from __future__ import annotations

import msgspec
import numpy as np

from cost_model.bursts import bursts
from cost_model.compare import Option
from cost_model.modes import Mode
from cost_model.modes.serverless import REFUSED
from cost_model.queueing import Array, load_for, percentile
from cost_model.sizing import Demand, respond

BUSIEST = 0.95
"""Beyond, the closed form's delay grows without bound, and so does its error."""

ALWAYS_ON: frozenset[Mode] = frozenset({"realtime", "autoscaled", "fargate", "azure-container-apps"})
BY_REQUEST: frozenset[Mode] = frozenset({"serverless", "lambda", "azure-functions", "cloud-run"})


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Response times at several loads: arrays of one length."""

    rates: Array
    """Requests a second."""
    p50_ms: Array
    p95_ms: Array
    p99_ms: Array
    limited_ms: Array
    """At the percentile that the workload limits."""


def capacity(option: Option) -> float | None:
    """Requests a second up to which the option's count can be followed; None for a mode without a closed form.

    What is autoscaled is followed at its most; what takes a container a request, up to the share of refusals that its
    size accepts.
    """
    demand = Demand.of([option.candidate])
    if option.mode in ALWAYS_ON:
        return BUSIEST * option.count / float(demand.work[0])
    if option.mode in BY_REQUEST:
        held = float(demand.service[0] + demand.around[0])
        return load_for(REFUSED, option.count, bursts(option.workload)) / held
    return None


def load_curve(option: Option, rates: Array) -> Curve:
    """The response of the option's count at these requests a second, within its capacity."""
    demand = Demand.of([option.candidate] * len(rates))
    if option.mode in ALWAYS_ON:
        count = np.full_like(rates, option.count)
        times = respond(demand, option.workload, count, rates * demand.work)
    else:

        def times(share: float) -> Array:
            nothing = np.zeros_like(rates)
            return demand.around + percentile(share, demand.service, nothing, nothing, demand.deviation)

    shares = (0.50, 0.95, 0.99, option.workload.slo_percentile / 100)
    p50, p95, p99, limited = (1000 * times(share) for share in shares)
    return Curve(rates=rates, p50_ms=p50, p95_ms=p95, p99_ms=p99, limited_ms=limited)
