"""A trace: what really came. Its rates by hour of the week, how bursty it is, and its arrivals again."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.workload.arrivals import SCALE_S
from cost_model.workload.bursts import MOST_ARRIVALS
from cost_model.workload.cloudwatch import METRIC, Datapoints, as_counts, read_json
from cost_model.workload.counts import Counts, Dispersion, whole_week
from cost_model.workload.csv_layout import Layout, find_layout
from cost_model.workload.moments import as_datetime
from cost_model.workload.seconds import Seconds
from cost_model.workload.timestamps import Timestamps, read_periods
from cost_model.workload.week import HOURS
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

SCALES_S = (1, 10, 60, 300)
"""Over which the index of dispersion is shown."""

NO_ZONE = "its times name no time zone: UTC is assumed"


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
    read = _read(path, column, period)
    counts, notes = read.counts, list(read.notes)
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
        what=read.what,
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
    read = _read(path, column, period)
    counts = read.counts
    if read.layout is None:
        first = max(0, int(begin // counts.step))
        last = int(-(-(begin + seconds) // counts.step))
        here = counts.counts[first:last].round().astype(np.int64)
        starts = (first + np.arange(len(here))) * float(counts.step) - begin
        moments = np.repeat(starts, here)
    else:
        moments = _stamps(path, read.layout, counts.begin + begin, seconds, _version(path))
    moments = moments + rng.random(len(moments)) * read.resolution
    moments = moments[(moments >= 0) & (moments < seconds)]
    moments.sort()
    return moments


class _Read(NamedTuple):
    """A file, read once."""

    counts: Counts
    what: str
    notes: tuple[str, ...]
    resolution: int
    """Seconds within which the file doesn't tell when a request came; 0 where it tells all."""
    layout: Layout | None
    """Of a file of one request a row."""


def _read(path: Path, column: str | None, period: int | None) -> _Read:
    return _read_version(path.resolve(), column, period, _version(path))


def _version(path: Path) -> tuple[int, int]:
    """What changes when the file does. Raises InvalidInput if it isn't there."""
    try:
        stat = path.stat()
    except OSError as error:
        raise InvalidInput(str(path), [Fault("", f"can't be read: {error.strerror}", "unreadable")]) from None
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=2)
def _read_version(path: Path, column: str | None, period: int | None, _version: tuple[int, int]) -> _Read:
    if path.suffix == ".json":
        return _of_datapoints(path, read_json(path), period)
    layout = find_layout(path, column)
    if layout.count is not None:
        times, values, assumed_utc = read_periods(path, layout)
        if not times:
            raise InvalidInput(str(path), [Fault("", "has no datapoint after its header", "empty")])
        return _of_datapoints(path, Datapoints(times, values, assumed_utc, layout.count_name or METRIC), period)
    stamps = Timestamps(path, layout)
    counting = Seconds(path)
    for chunk in stamps:
        counting.add(chunk)
    notes = [NO_ZONE] if stamps.assumed_utc else []
    if counting.unsorted:
        notes.append("its times were not in order: sorted")
    if counting.resolution:
        whole = "minutes" if counting.resolution == 60 else "seconds"
        notes.append(f"its times are whole {whole}: a replay spreads them evenly within each")
    return _Read(counting.counts(), "times of requests", tuple(notes), counting.resolution, layout)


def _of_datapoints(path: Path, found: Datapoints, period: int | None) -> _Read:
    counts = as_counts(path, found, period)
    notes = [NO_ZONE] if found.assumed_utc else []
    if found.label != METRIC:
        notes.append(f"its metric is called {found.label!r} and taken for {METRIC}")
    if empty := len(counts.counts) - len(found.times):
        notes.append(f"{empty:,} of {len(counts.counts):,} periods have no datapoint: no requests came")
    if counts.step > SCALE_S:
        notes.append(f"a datapoint covers {counts.step:,} s: bursts shorter than that can't be seen in it")
    return _Read(counts, f"requests a period of {counts.step:,} s", tuple(notes), counts.step, None)


@lru_cache(maxsize=2)
def _stamps(path: Path, layout: Layout, start: float, seconds: float, _version: tuple[int, int]) -> NDArray[np.float64]:
    """Times of that stretch, in seconds from its start."""
    kept: list[NDArray[np.float64]] = []
    total = 0
    for chunk in Timestamps(path, layout):
        inside = chunk[(chunk >= start) & (chunk < start + seconds)] - start
        total += len(inside)
        if total > MOST_ARRIVALS:
            raise ValueError(
                f"more than the {MOST_ARRIVALS:,} arrivals that are replayed at once come in {seconds:,.0f} s"
            )
        kept.append(inside)
    return np.concatenate(kept)
