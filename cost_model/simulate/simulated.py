"""What a simulation tells, and how surely: figures with intervals from batch means."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

BATCHES = 20
"""Into so many stretches of equal length a run is cut; long enough each, their means are nearly independent."""

CONFIDENCE = 0.95


class Estimate(msgspec.Struct, frozen=True):
    """A figure, and the interval in which its true value lies with the confidence asked for."""

    value: float
    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    @property
    def relative_error(self) -> float:
        """Half of the interval over the value; infinite where that is."""
        return (self.high - self.low) / 2 / self.value if math.isfinite(self.high) and self.value else math.inf


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """A run after its start was left out. Shares are of requests."""

    latency: Array
    """(n,), seconds of each request by arrival; infinite for what was refused or late, which has no answer."""
    refused: float
    """Refused at once: by admission, by a full queue, or because no serverless container was free."""
    late: float
    """Taken, but not answered in time."""
    utilisation: float
    """Busy time over the time of all servers that were up."""
    seconds: float
    """Simulated, from the first request that counts to the last."""
    server_hours: float
    """Of servers (instances, provisioned units) that were up, as far as they are paid by the hour, in `seconds`."""
    cold_starts: float = 0.0
    """Requests that waited for a server to be started."""
    on_units: float = 0.0
    """Requests that were served by provisioned units."""
    basis: str = "simulated"

    @property
    def servers(self) -> float:
        """Mean count while simulated; times the hours of a month it is what is paid."""
        return self.server_hours * 3600 / self.seconds

    def percentile(self, percentile: float, confidence: float = CONFIDENCE) -> Estimate:
        """Response time in seconds that so many percent of all requests, unanswered ones included, stay within."""
        return percentile_of(self.latency, percentile, confidence)

    def mean(self, confidence: float = CONFIDENCE) -> Estimate:
        """Mean response time in seconds of what was answered."""
        return mean_of(self.latency[np.isfinite(self.latency)], confidence)


def mean_of(values: Array, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of a stationary sequence, (n,), by non-overlapping batch means (Law, Kelton: Simulation Modeling and
    Analysis). What doesn't fill a batch is left out; with fewer than two values a batch the interval is endless."""
    mean = float(np.mean(values)) if len(values) else math.nan
    return _sectioned([float(np.mean(part)) for part in _sections(values)], mean, confidence)


def percentile_of(values: Array, percentile: float, confidence: float = CONFIDENCE) -> Estimate:
    """A percentile of a stationary sequence, (n,), that may hold infinities, by sectioning: that of all, and the
    spread of the sections' about it (Asmussen, Glynn: Stochastic Simulation, III.5)."""
    whole = _percentile(values, percentile)
    return _sectioned([_percentile(part, percentile) for part in _sections(values)], whole, confidence)


def _percentile(values: Array, percentile: float) -> float:
    """The smallest value that at least so many percent don't exceed: infinities need no interpolation. NaN of none."""
    if not len(values):
        return math.nan
    rank = max(math.ceil(percentile / 100 * len(values) - 1e-9), 1) - 1
    return float(np.partition(values, rank)[rank])


def _sections(values: Array) -> list[Array]:
    length = len(values) // BATCHES
    return [values[part * length : (part + 1) * length] for part in range(BATCHES)] if length > 1 else []


def _sectioned(figures: list[float], whole: float, confidence: float) -> Estimate:
    if not figures or not math.isfinite(whole):
        return Estimate(whole, -math.inf if math.isfinite(whole) else min(figures, default=whole), math.inf)
    if not all(map(math.isfinite, figures)):
        return Estimate(whole, min(figures), math.inf)
    deviation = math.sqrt(sum((figure - whole) ** 2 for figure in figures) / (len(figures) - 1))
    quantile = float(special.stdtrit(len(figures) - 1, (1 + confidence) / 2))
    half = quantile * deviation / math.sqrt(len(figures))
    return Estimate(whole, whole - half, whole + half)
