"""A trace: what really came. Its rates by hour of the week, how bursty it is, and its arrivals again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.workload.arrivals import SCALE_S
from cost_model.workload.bursts import MOST_ARRIVALS
from cost_model.workload.cloudwatch import METRIC, MOST_DAYS, Datapoints, as_counts, read_json
from cost_model.workload.counts import Counts, Dispersion, whole_week
from cost_model.workload.moments import as_datetime
from cost_model.workload.timestamps import Timestamps, find_layout, read_periods
from cost_model.workload.week import HOURS
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

SCALES_S = (1, 10, 60, 300)
"""Over which the index of dispersion is shown."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What a trace comes to."""

    path: str
    what: str
    """Times of requests, or requests a period."""
    requests: float
    begin: datetime
    end: datetime
    """UTC; of the last second or period."""
    hours: tuple[float, ...]
    """(168,) requests a second in each hour of the week from Monday 00:00 UTC on; those it doesn't cover filled in."""
    covered_hours: int
    """Of the 168, those it tells of."""
    dispersions: tuple[Dispersion, ...]
    """Over several lengths of time, the shortest first; those that it can tell of."""
    notes: tuple[str, ...]
    """What was assumed or mended in reading it."""

    @property
    def mean_rate(self) -> float:
        """Requests a second over the week."""
        return sum(self.hours) / len(self.hours)

    def dispersion_at(self, seconds: int) -> Dispersion | None:
        return next((one for one in self.dispersions if one.seconds == seconds), None)


def measure_trace(path: Path, *, column: str | None = None, period: int | None = None, scale_s: int = SCALE_S) -> Trace:
    """Reads the file once, as a stream, and measures it.

    A .json file is taken for CloudWatch's answer; any other for CSV. Raises InvalidInput with its faults by line.
    """
    counts, what, notes = _count(path, column, period)
    rates, covered = counts.hourly()
    covered_hours = int((covered > 0).sum())
    hours = whole_week(rates) if covered_hours else np.full(HOURS, counts.total / (counts.end - counts.begin))
    if covered_hours < HOURS:
        notes.append(
            f"covers {covered_hours} of the week's {HOURS} hours; the others are taken to be like the same hours of "
            "other days, or the mean"
        )
    if not hours.sum() > 0:
        raise InvalidInput(str(path), [Fault("", "has no request at all; expected a time with traffic", "empty")])
    measured = [counts.dispersion(seconds) for seconds in sorted({*SCALES_S, scale_s})]
    return Trace(
        path=str(path.resolve()),
        what=what,
        requests=counts.total,
        begin=as_datetime(counts.begin),
        end=as_datetime(counts.end),
        hours=tuple(hours.tolist()),
        covered_hours=covered_hours,
        dispersions=tuple(one for one in measured if one is not None),
        notes=tuple(notes),
    )


def replay(
    path: Path,
    rng: np.random.Generator,
    *,
    begin: float,
    seconds: float,
    column: str | None = None,
    period: int | None = None,
) -> NDArray[np.float64]:
    """Sorted moments in [0, seconds) of the arrivals from `begin` seconds after the trace's first on.

    What the trace doesn't tell finer than whole seconds, or a period, is spread evenly over that by `rng`.
    """
    stat = path.stat()
    if _is_counted(path, column):
        counts = _counts_again(path, column, period, stat.st_mtime_ns, stat.st_size)
        first = max(0, int(begin // counts.step))
        last = int(-(-(begin + seconds) // counts.step))
        here = counts.counts[first:last].round().astype(np.int64)
        starts = (first + np.arange(len(here))) * float(counts.step) - begin
        moments = np.repeat(starts, here) + rng.random(int(here.sum())) * counts.step
    else:
        moments, resolution = _stamps_again(path, column, begin, seconds, stat.st_mtime_ns, stat.st_size)
        moments = moments + rng.random(len(moments)) * resolution
    moments = moments[(moments >= 0) & (moments < seconds)]
    moments.sort()
    return moments


def _is_counted(path: Path, column: str | None) -> bool:
    return path.suffix == ".json" or find_layout(path, column).count is not None


def _count(path: Path, column: str | None, period: int | None) -> tuple[Counts, str, list[str]]:
    """The trace's counts, what it holds, and the notes."""
    if path.suffix == ".json":
        return _from_datapoints(path, read_json(path), period)
    layout = find_layout(path, column)
    if layout.count is not None:
        times, values, assumed_utc = read_periods(path, layout)
        if not times:
            raise InvalidInput(str(path), [Fault("", "has no datapoint after its header", "empty")])
        return _from_datapoints(path, Datapoints(times, values, assumed_utc, layout.count_name or METRIC), period)
    stamps = Timestamps(path, layout)
    counting = _Seconds(path)
    for chunk in stamps:
        counting.add(chunk)
    counts = counting.counts()
    notes = ["its times name no time zone: UTC is assumed"] if stamps.assumed_utc else []
    if counting.unsorted:
        notes.append("its times were not in order: sorted")
    if counting.resolution:
        notes.append(f"its times are whole {_resolution_name(counting.resolution)}: replays spread them evenly within")
    return counts, "times of requests", notes


def _from_datapoints(path: Path, found: Datapoints, period: int | None) -> tuple[Counts, str, list[str]]:
    counts = as_counts(path, found, period)
    notes = ["its times name no time zone: UTC is assumed"] if found.assumed_utc else []
    if found.label != METRIC:
        notes.append(f"its metric is called {found.label!r} and taken for {METRIC}")
    if empty := len(counts.counts) - len(found.times):
        notes.append(f"{empty:,} of {len(counts.counts):,} periods have no datapoint: no requests came")
    if counts.step > SCALE_S:
        notes.append(f"a datapoint covers {counts.step:,} s: bursts shorter than that can't be seen in it")
    return counts, f"requests a period of {counts.step:,} s", notes


class _Seconds:
    """Counts times by their second; the seconds that it holds grow with the time covered, not with the requests."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._base = 0
        self._counts = np.zeros(0, dtype=np.uint32)
        self._first, self._last = np.inf, -np.inf
        self._latest = -np.inf
        self.unsorted = False
        self._whole_seconds = self._whole_minutes = True

    @property
    def resolution(self) -> int:
        """Seconds that every time is a multiple of; 0 where they are finer."""
        return 60 if self._whole_minutes else 1 if self._whole_seconds else 0

    def add(self, stamps: NDArray[np.float64]) -> None:
        self.unsorted |= bool(stamps[0] < self._latest or (np.diff(stamps) < 0).any())
        self._latest = float(stamps[-1])
        self._whole_seconds = self._whole_seconds and not (stamps % 1).any()
        self._whole_minutes = self._whole_minutes and not (stamps % 60).any()
        seconds, counts = np.unique(np.floor(stamps).astype(np.int64), return_counts=True)
        self._first, self._last = min(self._first, seconds[0]), max(self._last, seconds[-1])
        if self._last - self._first > MOST_DAYS * 86_400:
            told = (
                f"covers {(self._last - self._first) / 86_400:,.0f} days, from {as_datetime(self._first).date()} to "
                f"{as_datetime(self._last).date()}; expected at most {MOST_DAYS}"
            )
            raise InvalidInput(str(self._path), [Fault("", told, "too_long")])
        self._make_room(int(seconds[0]), int(seconds[-1]))
        self._counts[seconds - self._base] += counts.astype(np.uint32)

    def counts(self) -> Counts:
        """Raises InvalidInput unless there were times of two seconds at least."""
        if not self._last > self._first:
            told = "has requests of one moment only; expected a trace that covers some time"
            raise InvalidInput(str(self._path), [Fault("", told if len(self._counts) else "has no times", "too_short")])
        first, last = int(self._first), int(self._last)
        return Counts(first, 1, self._counts[first - self._base : last - self._base + 1])

    def _make_room(self, first: int, last: int) -> None:
        if not len(self._counts):
            self._base = first
        low = min(self._base, first)
        high = max(self._base + len(self._counts), last + 1)
        if low == self._base and high == self._base + len(self._counts):
            return
        spare = (high - low) // 2  # so that growing costs no more than counting
        grown = np.zeros(high - low + spare, dtype=np.uint32)
        grown[self._base - low : self._base - low + len(self._counts)] = self._counts
        self._base, self._counts = low, grown


@lru_cache(maxsize=2)
def _counts_again(path: Path, column: str | None, period: int | None, *_changed: int) -> Counts:
    counts, _, _ = _count(path, column, period)
    return counts


@lru_cache(maxsize=2)
def _stamps_again(
    path: Path, column: str | None, begin: float, seconds: float, *_changed: int
) -> tuple[NDArray[np.float64], int]:
    """Moments from `begin` on, and the whole seconds that they are rounded to."""
    layout = find_layout(path, column)
    start = _earliest(Timestamps(path, layout)) + begin
    kept: list[NDArray[np.float64]] = []
    counting = _Seconds(path)
    total = 0
    for chunk in Timestamps(path, layout):
        counting.add(chunk)
        inside = chunk[(chunk >= start) & (chunk < start + seconds)] - start
        total += len(inside)
        if total > MOST_ARRIVALS:
            raise ValueError(
                f"more than {MOST_ARRIVALS:,} arrivals in {seconds:,.0f} s are more than are replayed at once"
            )
        kept.append(inside)
    return np.concatenate(kept) if kept else np.zeros(0), counting.resolution


def _earliest(chunks: Iterable[NDArray[np.float64]]) -> float:
    return float(np.floor(min(chunk.min() for chunk in chunks)))


def _resolution_name(resolution: int) -> str:
    return "minutes" if resolution == 60 else "seconds"
