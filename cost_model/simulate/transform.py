"""A batch transform job: instances start, work through their input, and end."""

from __future__ import annotations

import msgspec
import numpy as np

from cost_model.delays import load_delays
from cost_model.simulate.fcfs import waiting_times
from cost_model.simulate.load import HOUR_S
from cost_model.simulate.machine import Machine
from cost_model.simulate.simulated import Simulated
from cost_model.simulate.traffic import Demand


class Transform(msgspec.Struct, frozen=True, kw_only=True):
    count: int
    requests: int
    """Of a job."""
    start_s: float = load_delays().instance.start_s


MOST_DRAWN = 20_000
"""Requests that are drawn of a larger job; it lasts as they do, in proportion."""


def simulate_transform(machine: Machine, demand: Demand, job: Transform, *, seed: int = 0) -> Simulated:
    """A job whose instances take the next request when they have done with one: list scheduling (Graham 1969).

    Each request's latency is the time from the job's beginning to its answer; all instances are paid until the last
    has done.
    """
    drawn = min(job.requests, MOST_DRAWN)
    rng = np.random.default_rng(seed)
    traffic = machine.draw(demand, rng, np.zeros(drawn))
    seconds = machine.alone(traffic, seed=seed) + machine.around(traffic)
    done = (waiting_times(seconds, np.zeros(drawn), job.count) + seconds) * (job.requests / drawn)
    lasts = job.start_s + float(done.max())
    return Simulated(
        latency=np.sort(job.start_s + done),
        refused=0.0,
        late=0.0,
        utilisation=float(seconds.sum()) * (job.requests / drawn) / (lasts * job.count),
        seconds=lasts,
        server_hours=lasts * job.count / HOUR_S,
    )
