"""Requests counted in steps of time: the week's course, and how bursty they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.workload.week import HOURS

HOUR_S = 3600
EPOCH_HOUR = 3 * 24
"""Of the week: 1970-01-01 was a Thursday."""

LEAST_COVERED_S = 900
"""Of an hour of the week, for its rate to be taken from the trace."""

LEAST_WINDOWS = 4
"""In an hour, to tell their scatter from the hour's own rise or fall."""


class Dispersion(msgspec.Struct, frozen=True, kw_only=True):
    """Variance over mean of the requests in windows of `seconds`."""

    seconds: int
    index: float
    error: float
    """Standard error, as if counts were independent and nearly normal."""


@dataclass(frozen=True, slots=True)
class Counts:
    begin: int
    """Seconds since 1970-01-01 UTC."""
    step: int
    """Seconds."""
    counts: NDArray[np.uint32] | NDArray[np.float64]
    """(steps,) requests in each step from `begin` on."""

    @property
    def end(self) -> int:
        return self.begin + self.step * len(self.counts)

    @property
    def total(self) -> float:
        return float(self.counts.sum(dtype=np.float64))

    def hourly(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(168,) requests a second in each hour of the week, nan where the trace doesn't tell, and the (168,) seconds
        that it covers of each."""
        counts, step = self.counts, self.step
        if step > HOUR_S:  # a day's sum says nothing of its hours
            parts = math.ceil(step / HOUR_S)
            counts, step = np.repeat(counts / parts, parts), step // parts
        first, last = self.begin // HOUR_S, (self.begin + step * len(counts) - 1) // HOUR_S
        edges = np.ceil((np.arange(first, last + 1) * HOUR_S - self.begin) / step).clip(0).astype(np.int64)
        edges, kept = np.unique(edges[edges < len(counts)], return_index=True)
        sums = np.add.reduceat(counts, edges, dtype=np.float64)
        seconds = np.diff(np.append(edges, len(counts))) * float(step)
        of_week = (first + kept + EPOCH_HOUR) % HOURS
        requests = np.bincount(of_week, weights=sums, minlength=HOURS)
        covered = np.bincount(of_week, weights=seconds, minlength=HOURS)
        told = covered >= LEAST_COVERED_S
        rates = np.divide(requests, covered, out=np.full(HOURS, np.nan), where=told)
        return rates, np.where(told, covered, 0.0)

    def dispersion(self, seconds: int) -> Dispersion | None:
        """Over windows of so many seconds; None where the steps are longer or there are too few windows.

        Within each hour the straight line through its windows is taken off, which is the day's course and no burst:
        the index is the pooled residual variance over the pooled mean.
        """
        an_hour = HOUR_S // seconds
        if seconds % self.step or an_hour < LEAST_WINDOWS:
            return None
        per_window = seconds // self.step
        counts = self.counts[-self.begin % seconds // self.step :]  # windows lie on the clock's multiples
        windows = len(counts) // per_window
        an_hour = min(an_hour, windows)
        if an_hour < LEAST_WINDOWS:
            return None
        hours = windows // an_hour
        of_windows = counts[: hours * an_hour * per_window].reshape(hours, an_hour, per_window)
        sums = of_windows.sum(axis=2, dtype=np.float64)
        mean = sums.mean(axis=1, keepdims=True)
        if not mean.sum():
            return None
        place = np.arange(an_hour) - (an_hour - 1) / 2
        residual = sums - mean - np.outer((sums @ place) / (place @ place), place)
        freedom = an_hour - 2
        index = float((residual**2).sum() / freedom / mean.sum())
        return Dispersion(seconds=seconds, index=index, error=index * math.sqrt(2 / (freedom * hours)))


def whole_week(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """(168,) rates without nan: an hour that isn't known is taken to be as the same hour of other days, where none is
    known as the mean of all."""
    import warnings  # noqa: PLC0415

    by_day = rates.reshape(7, 24)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of no day at all is nan, and meant
        same_hour = np.nanmean(by_day, axis=0)
    same_hour = np.where(np.isnan(same_hour), np.nanmean(rates), same_hour)
    return np.where(np.isnan(by_day), same_hour, by_day).reshape(-1)
