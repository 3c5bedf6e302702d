"""Bursty arrivals for closed forms: windows of the busiest hour, each Poisson at a rate of its own.

A workload's index of dispersion I over windows of w seconds is that of a Poisson process whose rate is drawn anew in
each window from a gamma distribution (cost_model.workload.bursts), of shape rate · w / (I - 1). Its quantiles stand
for it: the middles of BINS, narrow where the rate is high and little happens that matters.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from scipy import special

from cost_model.workload import Workload

BINS = (0.0, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 1.0)


def bursts(workload: Workload) -> tuple[tuple[float, float], ...]:
    """Multiples of the busiest hour's rate, each with its share of the requests; ((1, 1),) for Poisson arrivals."""
    if workload.dispersion == 1:
        return ((1.0, 1.0),)
    requests = workload.peak_rate * workload.traffic.dispersion_seconds
    return _quantiles(requests / (workload.dispersion - 1))


@lru_cache(maxsize=1024)
def _quantiles(shape: float) -> tuple[tuple[float, float], ...]:
    middles = [(special.gammaincinv(shape, (low + high) / 2) / shape, high - low) for low, high in pairwise(BINS)]
    total = sum(times * share for times, share in middles)  # of all requests, those of windows at that rate
    return tuple((float(times / total), float(times * share / total)) for times, share in middles)
