"""Instances that are always on."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.simulate.load import HOUR_S, sample_week
from cost_model.simulate.machine import Machine
from cost_model.simulate.outcomes import LATE, REFUSED
from cost_model.simulate.policy import Fleet, Routing, serve
from cost_model.simulate.simulated import BATCHES, Simulated
from cost_model.simulate.traffic import Demand, Drawn

Array = NDArray[np.float64]

WARM_UP = 0.1
"""Of each stretch, the share at its start that isn't counted: queues fill, and the policy learns its speed."""

LEAST_PER_INSTANCE = 50
"""Requests of a run for each of its instances."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch, after its start."""

    latency: Array
    """(n,), seconds; infinite without an answer."""
    outcome: NDArray[np.int64]
    """(n,)"""
    seconds: float
    """From the first of these arrivals to the last."""
    utilisation: float
    """Of the engines, from the very first arrival to the last."""


def simulate_always_on(
    machine: Machine, demand: Demand, count: int, *, requests: int, routing: Routing = "random", seed: int = 0
) -> Simulated:
    """`count` instances behind the router, serving about `requests` requests of the workload's week.

    Under random routing each instance sees the like by itself, so one is simulated, with its share of the requests.
    """
    whole_demand, servers = demand, count
    if routing == "random" and count > 1:
        demand, count = Share(whole_demand, count), 1
    rng = np.random.default_rng(seed)
    runs = []
    for stretch in sample_week(demand, max(requests, LEAST_PER_INSTANCE * count)):
        rate = float(demand.hourly_rates[int((stretch.begin + stretch.seconds / 2) // HOUR_S) % 168])
        arrivals = demand.arrivals(rng, stretch.seconds / (1 - WARM_UP), rate)
        if len(arrivals) > 1:
            runs.append(run(machine, demand, arrivals, Fleet.always(count), rng=rng, routing=routing, seed=seed))
    return joined(runs, servers)


def run(
    machine: Machine,
    demand: Demand,
    arrivals: Array,
    fleet: Fleet,
    *,
    rng: np.random.Generator,
    routing: Routing,
    seed: int,
    first: int | None = None,
) -> Run:
    """Serves what comes at `arrivals`, (n,), and counts from the request `first` on, by default after WARM_UP."""
    traffic = machine.draw(demand, rng, arrivals)
    served = serve(
        traffic, machine.law, machine.policy, fleet, routing=routing, noise=machine.draw_noise(seed), seed=seed
    )
    first = int(len(arrivals) * WARM_UP) if first is None else first
    up = served.busy.size * max(float(arrivals[-1] - arrivals[0]), np.finfo(float).tiny)
    return Run(
        latency=(served.latency(traffic) + machine.around(traffic))[first:],
        outcome=served.outcome[first:],
        seconds=float(arrivals[-1] - arrivals[first]),
        utilisation=float(served.busy.sum()) / up,
    )


def joined(runs: Sequence[Run], servers: float) -> Simulated:
    """Stretches of one week, each with about as many requests.

    The latencies are put together so that each of the parts from which intervals are estimated has its share of all
    stretches: hours differ by more than chance.
    """
    outcome = np.concatenate([each.outcome for each in runs]) if runs else np.empty(0, dtype=np.int64)
    seconds = sum(each.seconds for each in runs)
    busy = sum(each.utilisation * each.seconds for each in runs)
    return Simulated(
        latency=interleaved([each.latency for each in runs]),
        refused=float(np.mean(outcome >= REFUSED)) if len(outcome) else 0.0,
        late=float(np.mean(outcome == LATE)) if len(outcome) else 0.0,
        utilisation=busy / seconds if seconds else 0.0,
        seconds=seconds,
        server_hours=servers * seconds / HOUR_S,
    )


def interleaved(stretches: Sequence[Array]) -> Array:
    """One after the other, part by part."""
    parts = [np.array_split(each, BATCHES) for each in stretches]
    return np.concatenate([part for together in zip(*parts, strict=True) for part in together] or [np.empty(0)])


class Share:
    """What one instance gets of a workload that is spread over `count` at random."""

    def __init__(self, demand: Demand, count: int) -> None:
        self._demand = demand
        self._count = count

    @property
    def hourly_rates(self) -> Array:
        return self._demand.hourly_rates / self._count

    @property
    def dispersion(self) -> float:
        """Thinned at random, arrivals of dispersion D keep 1 + (D - 1) / count."""
        return 1 + (self._demand.dispersion - 1) / self._count

    def draw(self, rng: np.random.Generator, count: int) -> Drawn:
        return self._demand.draw(rng, count)

    def arrivals(self, rng: np.random.Generator, seconds: float, rate: float | None = None) -> Array:
        everyones = self._demand.arrivals(rng, seconds, None if rate is None else rate * self._count)
        return np.asarray(everyones[rng.integers(0, self._count, len(everyones)) == 0])
