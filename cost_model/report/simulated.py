"""An always-on option simulated at several loads: what its closed form is held against in the picture."""

from __future__ import annotations

import msgspec

from cost_model.compare import Option
from cost_model.report.load import ALWAYS_ON, BUSIEST, capacity
from cost_model.simulate.machine import Machine
from cost_model.simulate.realtime import simulate_always_on
from cost_model.workload import Arrivals, Workload

LOADS = (0.1, 0.3, 0.5, 0.7, 0.85)
"""Shares of the time that the machines would be busy."""

REQUESTS = 20_000


class SimulatedLoad(msgspec.Struct, frozen=True, kw_only=True):
    """The percentile that the workload limits, at a load; with its 95 % interval."""

    rate: float
    """Requests a second."""
    ms: float
    low_ms: float
    high_ms: float
    refused: float
    """Share of the requests."""


def simulate_loads(option: Option) -> list[SimulatedLoad]:
    """At each of LOADS, by the container's own scheduler in virtual time; empty for what isn't always on.

    Left out is a load at which so many requests get no answer that the percentile has none.
    """
    most = capacity(option)
    if option.mode not in ALWAYS_ON or most is None:
        return []
    workload = option.workload
    machine = Machine.of(option.candidate, workload)
    found = []
    for share in LOADS:
        rate = most / BUSIEST * share
        run = simulate_always_on(
            machine, _steady(workload, rate), option.count, requests=REQUESTS, routing=workload.routing
        )
        limited = run.percentile(workload.slo_percentile)
        if limited.high < float("inf"):
            found.append(
                SimulatedLoad(
                    rate=rate,
                    ms=limited.value * 1000,
                    low_ms=max(limited.low, limited.value / 10) * 1000,
                    high_ms=limited.high * 1000,
                    refused=run.refused,
                )
            )
    return found


def _steady(workload: Workload, rate: float) -> Workload:
    """As bursty, but at one rate all week."""
    bursts = Arrivals(dispersion=workload.dispersion, dispersion_seconds=workload.traffic.dispersion_seconds)
    return msgspec.structs.replace(workload, requests_per_second=rate, traffic=bursts)
