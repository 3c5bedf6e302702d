"""A workload's week as a simulation samples it."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.simulate.traffic import Demand

Array = NDArray[np.float64]

MINUTE_S = 60
HOUR_S = 3600
WEEK_S = 168 * HOUR_S

STRETCHES = 8
"""The week is sampled in so many stretches, as many requests apart from each other."""


class Stretch(msgspec.Struct, frozen=True):
    """A part of the week."""

    begin: float
    """Seconds after Monday 00:00 UTC."""
    seconds: float


def is_steady(demand: Demand) -> bool:
    return float(np.ptp(demand.hourly_rates)) <= 1e-9 * float(np.max(demand.hourly_rates))


def sample_week(demand: Demand, requests: int, *, least_s: float = 0.0) -> list[Stretch]:
    """Stretches with `requests` requests in all, expected: one where the rate is steady, the week where it has no more;
    else STRETCHES, in whose middles fall equal shares of the week's requests, so that each counts alike."""
    rates = demand.hourly_rates
    mean = float(rates.mean())
    if is_steady(demand):
        return [Stretch(0.0, max(requests / mean, least_s))]
    if requests >= mean * WEEK_S:
        return [Stretch(0.0, float(WEEK_S))]
    cumulative = np.concatenate([[0.0], np.cumsum(rates)])
    shares = (np.arange(STRETCHES) + 0.5) / STRETCHES * cumulative[-1]
    middles = np.interp(shares, cumulative, np.arange(len(cumulative)) * float(HOUR_S))
    found = []
    for middle in middles.tolist():
        rate = float(rates[min(int(middle // HOUR_S), len(rates) - 1)])
        seconds = max(requests / STRETCHES / rate, least_s)
        found.append(Stretch(min(max(middle - seconds / 2, 0.0), max(WEEK_S - seconds, 0.0)), min(seconds, WEEK_S)))
    return found


def requests_by_minute(demand: Demand, rng: np.random.Generator) -> NDArray[np.int64]:
    """(10080,): how many come in each minute of a week, as dispersed as the workload says: negative binomial, or
    Poisson."""
    mean = np.repeat(demand.hourly_rates * MINUTE_S, HOUR_S // MINUTE_S)
    if demand.dispersion > 1:
        mean = rng.gamma(mean / (demand.dispersion - 1), demand.dispersion - 1)
    return rng.poisson(mean)
