"""CloudWatch's datapoints: the JSON that `aws cloudwatch get-metric-statistics` and `get-metric-data` print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cost_model.workload.counts import Counts
from cost_model.workload.lines import LineFaults
from cost_model.workload.moments import as_datetime, parse_moment
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

METRIC = "Invocations"
MOST_BYTES = 500_000_000
MOST_DAYS = 500
"""CloudWatch keeps hourly datapoints for 455 days."""


class Datapoints(msgspec.Struct):
    times: list[float]
    """Seconds since 1970, in the file's order."""
    values: list[float]
    """Requests from each on."""
    assumed_utc: bool = False
    label: str = METRIC


def read_json(path: Path) -> Datapoints:
    """The datapoints of the metric in the file; raises InvalidInput with every fault."""
    try:
        if path.stat().st_size > MOST_BYTES:
            told = f"has {path.stat().st_size:,} bytes; expected at most {MOST_BYTES:,} of CloudWatch's datapoints"
            raise InvalidInput(str(path), [Fault("", told, "too_large")])
        document = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise InvalidInput(str(path), [Fault("", f"can't be read: {error.strerror}", "unreadable")]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(str(path), [Fault("", f"is not JSON: {error}", "not_json")]) from None
    faults = LineFaults(path)
    match document:
        case {"Datapoints": list(points)}:
            found = _statistics(points, str(document.get("Label") or METRIC), faults)
        case {"MetricDataResults": list(results)}:
            found = _metric_data(results, faults)
        case _:
            faults.add("document", "has neither Datapoints (get-metric-statistics) nor MetricDataResults", "unknown")
            found = Datapoints([], [])
    if not faults and not found.times:
        faults.add("document", f"has no datapoints; ask for the Sum of {METRIC} over a time with traffic", "empty")
    faults.refuse()
    return found


def as_counts(path: Path, found: Datapoints, period: int | None) -> Counts:
    """Requests in each period from the first datapoint to the last, 0 where CloudWatch has none.

    period: seconds; None: the longest that all distances are multiples of. Raises InvalidInput if times come twice,
    aren't multiples of the period, or if a period can't be told.
    """
    faults = LineFaults(path)
    times = np.sort(np.array(found.times).round().astype(np.int64))
    steps = np.diff(times)
    for again in np.unique(times[1:][steps == 0]).tolist():
        told = "has two datapoints; expected one metric of one endpoint, each period once"
        faults.add(as_datetime(again).isoformat(), told, "twice")
    if period is None and not faults:
        period = int(np.gcd.reduce(steps)) if len(steps) else 0
        if not period:
            faults.add(
                "document", "has one datapoint, which doesn't tell its period; give trace_period_seconds", "period"
            )
    elif period is not None and (steps % period).any():
        odd = int(steps[steps % period != 0][0])
        faults.add(
            "document", f"has datapoints {odd} s apart, no multiple of trace_period_seconds = {period}", "period"
        )
    if times[-1] - times[0] > MOST_DAYS * 86_400:
        faults.add(
            "document", f"covers {(times[-1] - times[0]) / 86_400:,.0f} days; expected at most {MOST_DAYS}", "long"
        )
    faults.refuse()
    step = int(period or 1)
    counts = np.zeros(int(times[-1] - times[0]) // step + 1)
    counts[(np.array(found.times).round().astype(np.int64) - times[0]) // step] = found.values
    return Counts(int(times[0]), step, counts)


def _statistics(points: Sequence[Any], label: str, faults: LineFaults) -> Datapoints:
    found = Datapoints([], [], label=label)
    if label != METRIC:
        faults.add("Label", f"is {label[:60]!r}; expected the metric {METRIC}, which counts requests", "other_metric")
    for at, point in enumerate(points):
        if not isinstance(point, dict):
            faults.add(f"Datapoints[{at}]", "is no object with Timestamp and Sum", "wrong_type")
        elif "Sum" not in point:
            has = ", ".join(sorted(point)) or "nothing"
            faults.add(f"Datapoints[{at}]", f"has {has}; expected Sum: ask with --statistics Sum", "no_sum")
        else:
            _add(found, point.get("Timestamp"), point["Sum"], f"Datapoints[{at}]", faults)
    return found


def _metric_data(results: Sequence[Any], faults: LineFaults) -> Datapoints:
    metrics = [result for result in results if isinstance(result, dict)]
    named = [result for result in metrics if str(result.get("Label", "")).casefold() == METRIC.casefold()]
    chosen = named or metrics
    labels = {str(result.get("Label") or result.get("Id")) for result in chosen}
    if len(labels) > 1:
        told = f"has {', '.join(sorted(labels))[:200]}; expected one metric, or one labelled {METRIC}"
        faults.add("MetricDataResults", told, "ambiguous")
        return Datapoints([], [])
    found = Datapoints([], [], label=next(iter(labels), METRIC))
    for at, result in enumerate(chosen):  # several of one label are the pages of one answer
        place = f"MetricDataResults[{at}]"
        times, values = result.get("Timestamps"), result.get("Values")
        if not isinstance(times, list) or not isinstance(values, list) or len(times) != len(values):
            faults.add(place, "expected Timestamps and Values, lists of one length", "wrong_type")
            continue
        if at == len(chosen) - 1 and result.get("StatusCode", "Complete") != "Complete":
            told = f"is {result['StatusCode']!r}; expected Complete: ask for the pages that NextToken tells of"
            faults.add(f"{place}.StatusCode", told, "partial")
        for point, (time, value) in enumerate(zip(times, values, strict=True)):
            _add(found, time, value, f"{place}[{point}]", faults)
    return found


def _add(found: Datapoints, time: object, value: object, place: str, faults: LineFaults) -> None:
    try:
        seconds, told = parse_moment(str(time))
    except ValueError as error:
        faults.add(place, f"has the time {str(time)[:40]!r}; {error}", "not_a_time")
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
        faults.add(place, f"has the sum {str(value)[:40]}; expected a number of at least 0", "not_a_count")
        return
    found.assumed_utc |= not told
    found.times.append(seconds)
    found.values.append(float(value))
