"""The metric data that moto keeps, by metric."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from moto.cloudwatch.models import MetricAggregatedDatum

if TYPE_CHECKING:
    from moto.cloudwatch.models import Dimension, MetricDatum, MetricDatumBase

MOST_DATA = 200_000
"""moto keeps everything for ever; here the oldest is forgotten beyond this."""
_TRIMMED_AT_ONCE = 20_000

MetricKey = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name and dimensions."""


class UnknownStatistic(Exception):
    """CloudWatch has it, the local AWS doesn't."""


def metric_key(namespace: str, name: str, dimensions: Iterable[Dimension]) -> MetricKey:
    return namespace, name, frozenset((dimension.name or "", dimension.value or "") for dimension in dimensions)


@dataclass(frozen=True, slots=True)
class _Datum:
    at: float
    """Seconds since 1970."""
    count: float
    total: float
    least: float
    most: float


class MetricData:
    """Takes moto's data over as they come. Not for several threads at once."""

    def __init__(self, data: list[MetricDatumBase]) -> None:
        self._data = data
        self._taken = 0
        self._series: dict[MetricKey, list[_Datum]] = defaultdict(list)

    def refresh(self) -> None:
        new = self._data[self._taken :]
        self._taken += len(new)
        for datum in new:
            series = self._series[metric_key(datum.namespace, datum.name, datum.dimensions)]
            insort(series, _read(datum), key=_at)
        if len(self._data) > MOST_DATA + _TRIMMED_AT_ONCE:
            self._forget(len(self._data) - MOST_DATA)

    def _forget(self, oldest: int) -> None:
        del self._data[:oldest]
        self._taken -= oldest
        since = self._data[0].timestamp.timestamp()
        for key, series in list(self._series.items()):
            del series[: bisect_left(series, since, key=_at)]
            if not series:
                del self._series[key]

    def statistic(self, key: MetricKey, statistic: str, start: float, end: float) -> float | None:
        """Of the data from `start` to before `end`, both in seconds since 1970; None if there are none. Raises
        UnknownStatistic."""
        series = self._series.get(key, [])
        found = series[bisect_left(series, start, key=_at) : bisect_left(series, end, key=_at)]
        if not found:
            return None
        count, total = sum(datum.count for datum in found), sum(datum.total for datum in found)
        match statistic:
            case "SampleCount":
                return count
            case "Sum":
                return total
            case "Average":
                return total / count
            case "Minimum":
                return min(datum.least for datum in found)
            case "Maximum":
                return max(datum.most for datum in found)
            case _ if statistic.startswith("p"):
                return _percentile(found, statistic)
        raise UnknownStatistic(f"the local AWS has no statistic {statistic}")


def _at(datum: _Datum) -> float:
    return datum.at


def _read(datum: MetricDatumBase) -> _Datum:
    at = datum.timestamp.timestamp()
    if isinstance(datum, MetricAggregatedDatum):
        return _Datum(at, datum.sample_count, datum.sum, datum.min, datum.max)
    value = cast("MetricDatum", datum).value
    return _Datum(at, 1.0, value, value, value)


def _percentile(data: list[_Datum], statistic: str) -> float:
    """The least value that so many percent don't exceed. Of values that were summed up before they came nothing is
    known but their mean, which stands for each."""
    try:
        share = float(statistic[1:]) / 100
    except ValueError:
        raise UnknownStatistic(f"the local AWS has no statistic {statistic}") from None
    values = sorted((datum.total / datum.count, datum.count) for datum in data if datum.count)
    wanted = max(1.0, share * sum(count for _, count in values))
    for value, count in values:
        wanted -= count
        if wanted <= 0:
            return value
    return values[-1][0]
