"""The state of one metric alarm, from its datapoints."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from rerank_toolkit.local_sagemaker.alarms.expressions import Datapoints, UnknownExpression, evaluate
from rerank_toolkit.local_sagemaker.alarms.metric_data import MetricData, UnknownStatistic, metric_key

if TYPE_CHECKING:
    from moto.cloudwatch.models import Alarm, MetricDataQuery

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

_BREACHES: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
SHORTEST_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    state: State
    reason: str
    value: float | None = None
    """The newest datapoint."""


def judge(alarm: Alarm, data: MetricData, now: float, *, scale: float = 1.0) -> Verdict:
    """The state that the data up to `now`, in seconds since 1970, put the alarm into.

    The last period ends now, and not at the full minute: an alarm rings as soon as it can. `scale` shortens the
    periods, for a time that passes faster; none gets shorter than a second.
    """
    breaches = _BREACHES.get(alarm.comparison_operator)
    if breaches is None:
        return Verdict("INSUFFICIENT_DATA", f"the local AWS does not compare {alarm.comparison_operator}")
    try:
        points = _datapoints(alarm, data, now, scale)
    except (UnknownExpression, UnknownStatistic) as error:
        return Verdict("INSUFFICIENT_DATA", str(error))
    return _decide(alarm, points, lambda value: breaches(value, float(alarm.threshold)))


def _decide(alarm: Alarm, points: Datapoints, breaches: Callable[[float], bool]) -> Verdict:
    newest = next((point for point in points if point is not None), None)
    treated = alarm.treat_missing_data or "missing"
    if newest is None and treated in ("missing", "ignore"):
        state = cast("State", alarm.state_value) if treated == "ignore" else "INSUFFICIENT_DATA"
        return Verdict(state, "no data")
    needed = int(alarm.datapoints_to_alarm or alarm.evaluation_periods)
    breaching = sum(treated == "breaching" if point is None else breaches(point) for point in points)
    shown = ", ".join("no data" if point is None else f"{point:g}" for point in points)
    compared = f"{alarm.comparison_operator} {float(alarm.threshold):g}"
    reason = f"{breaching} of the last {len(points)} datapoints [{shown}] were {compared}; {needed} are needed"
    return Verdict("ALARM" if breaching >= needed else "OK", reason, newest)


def _datapoints(alarm: Alarm, data: MetricData, now: float, scale: float) -> Datapoints:
    """The newest first."""
    periods = int(alarm.evaluation_periods)
    if not alarm.metric_data_queries:
        key = metric_key(alarm.namespace, alarm.metric_name, alarm.dimensions)
        statistic = alarm.extended_statistic or alarm.statistic
        ends = _ends(now, max(SHORTEST_PERIOD_S, float(alarm.period) * scale), periods)
        return [data.statistic(key, statistic, start, end) for start, end in ends]
    queries = alarm.metric_data_queries
    metrics: dict[str, Datapoints] = {}
    for query in queries:
        if query.metric_stat is not None:
            metric = query.metric_stat.metric
            key = metric_key(metric.namespace, metric.metric_name, metric.dimensions)
            ends = _ends(now, max(SHORTEST_PERIOD_S, float(query.metric_stat.period) * scale), periods)
            metrics[query.id] = [data.statistic(key, query.metric_stat.stat, start, end) for start, end in ends]
    for query in queries:
        if query.metric_stat is None:
            metrics[query.id] = evaluate(query.expression or "", metrics, periods)
    return metrics[_result(queries).id]


def _ends(now: float, period_s: float, periods: int) -> list[tuple[float, float]]:
    return [(now - (number + 1) * period_s, now - number * period_s) for number in range(periods)]


def _result(queries: Sequence[MetricDataQuery]) -> MetricDataQuery:
    """The one that the alarm watches: the only one that returns its data."""
    shown = [query for query in queries if str(query.return_data).lower() != "false"]
    return shown[-1] if shown else queries[-1]
