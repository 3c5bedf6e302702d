"""When requests come: the week, bursts against their theory, and traces."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.workload import Arrivals, Growth, Workload
from cost_model.workload.bursts import draw_arrivals, scaled
from cost_model.workload.counts import Counts
from cost_model.workload.trace import Trace, measure_trace, replay
from cost_model.workload.week import expand_week
from rerank_toolkit.contracts.errors import InvalidInput

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
WEEK_S = 7 * 86_400

FLAT = Workload(requests_per_second=4, documents_per_request=10, tokens_per_document=100)


def bursty(dispersion: float, **traffic: Any) -> Workload:
    return msgspec.structs.replace(FLAT, traffic=Arrivals(dispersion=dispersion, **traffic))


# The process against its theory.


@pytest.mark.parametrize("dispersion", [1.0, 2.0, 8.0, 40.0])
@pytest.mark.parametrize("window_s", [10, 60])
def test_counts_are_negative_binomial(dispersion, window_s):
    windows = 60_000
    rate = 0.5
    moments = draw_arrivals(
        np.random.default_rng(11), [rate], windows * window_s, dispersion=dispersion, window_s=window_s
    )

    counts = np.bincount((moments // window_s).astype(int), minlength=windows)
    mean = rate * window_s
    # Standard errors at 99.9 %: of a mean, and of a variance from the fourth central moment of the counts.
    spread = 3.29 * math.sqrt(dispersion * mean / windows)
    fourth = ((counts - counts.mean()) ** 4).mean()
    of_variance = 3.29 * math.sqrt((fourth - counts.var() ** 2) / windows)
    assert abs(counts.mean() - mean) < spread
    assert abs(counts.var() - dispersion * mean) < of_variance
    shape = mean / (dispersion - 1) if dispersion > 1 else None
    nothing = dispersion**-shape if shape else math.exp(-mean)  # the probability of an empty window
    assert abs((counts == 0).mean() - nothing) < 3.29 * math.sqrt(nothing * (1 - nothing) / windows) + 1e-12


@pytest.mark.parametrize("dispersion", [1.0, 3.0, 12.0])
def test_the_index_that_was_drawn_with_is_the_one_that_is_measured(dispersion):
    moments = draw_arrivals(np.random.default_rng(5), [2.0], WEEK_S, dispersion=dispersion)

    measured = Counts(0, 1, np.bincount(moments.astype(int), minlength=WEEK_S)).dispersion(60)

    assert measured is not None
    assert abs(measured.index - dispersion) < 4 * measured.error
    assert measured.error < 0.05 * dispersion


def test_the_days_course_is_no_burst():
    hours = [1 + 9 * math.sin(math.pi * hour / 24) ** 2 for hour in range(24)] * 7
    slope = np.interp(np.arange(WEEK_S) / 3600, np.arange(169), [*hours, hours[0]])

    counts = np.random.default_rng(2).poisson(slope)

    measured = Counts(0, 1, counts.astype(np.float64)).dispersion(60)
    assert measured is not None
    assert measured.index == pytest.approx(1, abs=4 * measured.error + 0.02)


def test_moments_are_sorted_within_bounds_and_the_same_with_the_same_seed():
    one, again = (bursty(5).arrivals(np.random.default_rng(3), 1000.5) for _ in range(2))

    assert (one == again).all()
    assert (np.diff(one) >= 0).all()
    assert one[0] >= 0
    assert one[-1] < 1000.5


def test_bursts_keep_the_hours_rates():
    workload = bursty(4, week={"mon-sun": {"0-11": 1, "12-23": 7}})

    moments = workload.arrivals(np.random.default_rng(1), 4 * WEEK_S)

    by_hour = np.bincount((moments // 3600 % 168).astype(int), minlength=168) / 4 / 3600
    rates = workload.hourly_rates
    assert rates.mean() == pytest.approx(4)
    assert rates.max() == pytest.approx(7)
    errors = np.sqrt(4 * rates * 3600 * 4) / 4 / 3600
    assert (np.abs(by_hour - rates) < 4.5 * errors).all()


def test_a_stretch_begins_where_it_is_asked_to():
    workload = bursty(1, week={"mon-sun": {"0-11": 0, "12-23": 8}})

    night = workload.arrivals(np.random.default_rng(1), 3600, begin=3 * 3600)
    noon = workload.arrivals(np.random.default_rng(1), 7200, begin=11 * 3600)

    assert len(night) == 0
    assert noon.min() >= 3600
    assert len(noon) == pytest.approx(8 * 3600, abs=4 * math.sqrt(8 * 3600))


def test_a_rate_that_is_asked_for_is_steady_and_as_bursty():
    workload = bursty(6, week={"mon-sun": {"0-11": 0, "12-23": 8}})

    moments = workload.arrivals(np.random.default_rng(1), WEEK_S, 2.0)

    measured = Counts(0, 1, np.bincount(moments.astype(int), minlength=WEEK_S)).dispersion(60)
    assert measured is not None
    assert len(moments) / WEEK_S == pytest.approx(2, rel=0.02)
    assert measured.index == pytest.approx(6, abs=4 * measured.error)


def test_too_many_arrivals_are_not_drawn():
    with pytest.raises(ValueError, match="more than the 50,000,000"):
        FLAT.arrivals(np.random.default_rng(0), 1e9)


@settings(max_examples=50, deadline=None)
@given(factor=st.floats(0.05, 5), seed=st.integers(0, 2**32 - 1))
def test_scaled_arrivals_are_that_many_more_and_stay_in_bounds(factor, seed):
    rng = np.random.default_rng(seed)
    moments = np.sort(rng.random(5_000) * 600)

    more = scaled(rng, moments, factor, within_s=60, seconds=600)

    assert len(more) == pytest.approx(5000 * factor, abs=5 * math.sqrt(5000) * 0.5 + 1)
    assert (np.diff(more) >= 0).all()
    assert more[0] >= 0
    assert more[-1] < 600


# The week.


def test_a_week_of_days_and_hours():
    rates = expand_week({"mon-thu": {"0-7": 1, "8-18": 10, "19-23": 3}, "fri": [5] * 24, "sat, sun": 2})

    assert len(rates) == 168
    assert rates[:24] == (*[1.0] * 8, *[10.0] * 11, *[3.0] * 5)
    assert rates[4 * 24] == 5
    assert rates[-1] == 2


def test_days_and_hours_may_run_over_the_end():
    rates = expand_week({"sat-mon": {"22-5": 1, "6-21": 2}, "tue-fri": 3})

    assert rates[:7] == (1.0,) * 6 + (2.0,)
    assert rates[23] == 1
    assert rates[24] == 3
    assert rates[-1] == 1


@pytest.mark.parametrize(
    ("week", "told"),
    [
        ({"mon-fri": 1}, "sat, sun are missing"),
        ({"mon-sun": 1, "wed": 2}, "wed is given twice, the second time by 'wed'"),
        ({"mon-someday": 1}, "'mon-someday' is none of mon to sun"),
        ({"mon-sun": {"0-22": 1}}, "hours 23 are missing"),
        ({"mon-sun": {"0-23": 1, "5": 2}}, "hour 5 is given twice"),
        ({"mon-sun": {"0-24": 1}}, "'0-24' is none of 0 to 23"),
        ({"mon-sun": [1, 2]}, "has 2 hours; expected 24"),
        ({"mon-sun": -1}, "has the rate -1"),
        ({"mon-sun": math.nan}, "has the rate nan"),
        ({"mon-sun": 0}, "every rate is 0"),
    ],
)
def test_what_is_no_week_is_told(week, told):
    with pytest.raises(ValueError, match=told):
        expand_week(week)


def test_another_mean_scales_the_week():
    workload = bursty(1, week={"mon-fri": 6, "sat-sun": 3})

    assert workload.mean_rate == 4
    assert workload.hourly_rates.mean() == pytest.approx(4)
    assert workload.peak_rate == pytest.approx(6 * 4 / (36 / 7))
    assert workload.busiest_hour == 0


def test_a_constant_rate_is_the_same_in_every_hour():
    assert FLAT.hourly_rates.tolist() == [4.0] * 168
    assert FLAT.peak_rate == FLAT.mean_rate == 4
    assert FLAT.requests_per_month == 4 * 730 * 3600


def test_traffic_grows_by_the_month():
    growing = msgspec.structs.replace(FLAT, growth=Growth(percent_a_month=10))

    assert growing.in_month(0) == growing
    assert growing.in_month(2).mean_rate == pytest.approx(4.84)
    assert FLAT.in_month(5) == FLAT


# Traces.


def iso(seconds: float, zone: str = "+00:00") -> str:
    return (MONDAY + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat() + zone


def write(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def moments() -> np.ndarray:
    hours = [0.2] * 8 + [1.0] * 12 + [0.4] * 4
    return draw_arrivals(np.random.default_rng(9), hours, WEEK_S, dispersion=3)


@pytest.fixture(scope="module")
def traced(moments, tmp_path_factory) -> tuple[Path, Trace]:
    path = write(
        tmp_path_factory.mktemp("trace") / "trace.csv", ["timestamp,status", *(f"{iso(at)},200" for at in moments)]
    )
    return path, measure_trace(path)


def test_a_trace_tells_the_weeks_course_and_its_bursts(traced, moments):
    _, trace = traced

    assert trace.requests == len(moments)
    assert trace.covered_hours == 168
    assert trace.notes == ()
    assert trace.begin == MONDAY + timedelta(seconds=math.floor(moments[0]))
    expected = np.array(([0.2] * 8 + [1.0] * 12 + [0.4] * 4) * 7)
    assert (np.abs(np.array(trace.hours) - expected) < 4.5 * np.sqrt(3 * expected / 3600)).all()
    over_a_minute = trace.dispersion_at(60)
    assert over_a_minute is not None
    assert over_a_minute.index == pytest.approx(3, abs=4 * over_a_minute.error)
    finer = trace.dispersion_at(1)
    assert finer is not None
    assert 1 <= finer.index < over_a_minute.index


def test_a_replay_brings_the_very_arrivals(traced, moments):
    path, _ = traced

    again = replay(path, np.random.default_rng(0), begin=36_000, seconds=3600)

    start = math.floor(moments[0]) + 36_000  # a trace begins with the second of its first request
    expected = moments[(moments >= start) & (moments < start + 3600)] - start
    assert again == pytest.approx(expected, abs=2e-6)


def test_a_workload_replays_its_trace_at_its_own_rate(traced):
    path, trace = traced
    whole = msgspec.structs.replace(
        FLAT, requests_per_second=trace.mean_rate, traffic=Arrivals(trace=str(path), hours=trace.hours)
    )
    half = msgspec.structs.replace(whole, requests_per_second=trace.mean_rate / 2)
    double = msgspec.structs.replace(whole, requests_per_second=trace.mean_rate * 2)

    counts = [len(one.arrivals(np.random.default_rng(4), 86_400)) for one in (half, whole, double)]

    assert counts[0] == pytest.approx(counts[1] / 2, rel=0.03)
    assert counts[2] == counts[1] * 2


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000, 1_000_000_000])
def test_times_since_1970_in_any_unit(tmp_path, unit):
    start = int(MONDAY.timestamp())
    path = write(tmp_path / "epoch.csv", [str((start + at) * unit) for at in range(0, 7200, 2)])

    trace = measure_trace(path)

    assert trace.requests == 3600
    assert trace.begin == MONDAY
    assert trace.hours[0] == pytest.approx(0.5, rel=0.01)


def test_what_is_assumed_or_mended_is_told(tmp_path):
    rows = [iso(at, "") for at in (0, 7000, 600, 1200, *range(1300, 6000, 50))]

    trace = measure_trace(write(tmp_path / "trace.csv", rows))

    notes = "; ".join(trace.notes)
    assert "UTC is assumed" in notes
    assert "not in order: sorted" in notes
    assert "whole seconds" in notes
    assert "covers 2 of the week's 168 hours" in notes


def test_whole_seconds_are_spread_in_a_replay(tmp_path):
    path = write(tmp_path / "trace.csv", [iso(at // 10) for at in range(6000)])

    again = replay(path, np.random.default_rng(0), begin=0, seconds=600)

    assert len(again) == 6000
    assert len(np.unique(again)) == 6000
    assert np.bincount(again.astype(int), minlength=600).tolist() == [10] * 600


def test_time_zones_are_heeded(tmp_path):
    path = write(tmp_path / "trace.csv", [iso(at + 3600, "+01:00") for at in range(0, 4000, 10)])

    assert measure_trace(path).begin == MONDAY


def test_an_hour_that_a_trace_lacks_is_like_the_same_hour_of_other_days(tmp_path):
    busy = range(0, 3600 * 24, 4)  # Monday, with a quieter noon
    path = write(tmp_path / "trace.csv", [iso(at) for at in busy if not 12 * 3600 <= at < 13 * 3600 or at % 16 == 0])

    hours = measure_trace(path).hours

    assert hours[12] == pytest.approx(hours[24 + 12])
    assert hours[24 * 3 + 12] == pytest.approx(0.0625, rel=0.02)
    assert hours[24 * 3 + 9] == pytest.approx(0.25, rel=0.02)


def faults_of(path: Path, **options: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        measure_trace(path, **options)
    return str(caught.value)


def test_faults_of_a_trace_are_told_by_line_the_first_of_them(tmp_path):
    rows = ["time", iso(0), *["yesterday"] * 15, iso(9), "", "1999-01-01T00:00:00Z"]

    told = faults_of(write(tmp_path / "trace.csv", rows))

    assert "line 3: column 1 is 'yesterday'; expected ISO 8601" in told
    assert "line 12" in told
    assert "line 13" not in told
    assert "and 6 more faults" in told


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["", ""], "is empty"),
        (["a,b", "1,2"], "has no time in its first 2 rows, which begin with 'a'"),
        ([iso(0)] * 5, "has requests of one moment only"),
        ([iso(0), "2099-01-01T00:00:00Z"], "days, from 2026-11-02 to 2099-01-01; expected at most 500"),
        (["begun,ended", f"{iso(0)},{iso(1)}"], "has times in 2 columns (begun, ended); name the arrivals' one"),
        (["time,count,sum", f"{iso(0)},1,2"], "has 2 columns of counts (count, sum)"),
    ],
)
def test_what_is_no_trace_is_told(tmp_path, rows, told):
    assert told in faults_of(write(tmp_path / "trace.csv", rows))


def test_a_column_is_named_where_its_own_name_does_not_tell(tmp_path):
    path = write(tmp_path / "trace.csv", ["begun,ended", *(f"{iso(at)},{iso(at + 5)}" for at in range(100))])

    assert measure_trace(path, column="ended").begin == MONDAY + timedelta(seconds=5)
    assert "has no column named 'started'; it has begun, ended" in faults_of(path, column="started")


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path):
    binary = tmp_path / "trace.csv"
    binary.write_bytes(b"\xff\xfe\x00" * 100)

    assert "can't be read" in faults_of(tmp_path / "none.csv")
    assert "is not UTF-8" in faults_of(binary)


def test_a_file_without_line_ends_fills_no_memory(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("x" * 3_000_000)

    assert "has no time" in faults_of(path)


# CloudWatch.


def datapoints(counts: Sequence[float], period: int = 60) -> list[dict[str, Any]]:
    return [{"Timestamp": iso(at * period), "Sum": count, "Unit": "None"} for at, count in enumerate(counts)]


def statistics(tmp_path: Path, points: list[dict[str, Any]], label: str = "Invocations") -> Path:
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps({"Label": label, "Datapoints": points}))
    return path


def test_cloudwatchs_statistics_out_of_order_and_with_gaps(tmp_path):
    points = datapoints([60.0, 120.0] * 120)
    rng = np.random.default_rng(0)
    rng.shuffle(points)

    trace = measure_trace(statistics(tmp_path, [point for point in points if point["Timestamp"] != iso(600)]))

    assert trace.requests == 120 * 180 - 60
    assert trace.what == "requests a period of 60 s"
    assert trace.hours[1] == pytest.approx(1.5, rel=0.02)
    assert "1 of 240 periods have no datapoint" in "; ".join(trace.notes)


def test_cloudwatchs_metric_data_with_pages(tmp_path):
    path = tmp_path / "data.json"
    pages = [
        {"Id": "m1", "Label": "Invocations", "Timestamps": [iso(at * 300)], "Values": [30.0], "StatusCode": "Complete"}
        for at in range(24)
    ]
    other = {"Id": "m2", "Label": "ModelLatency", "Timestamps": [iso(0)], "Values": [5.0]}
    path.write_text(json.dumps({"MetricDataResults": [*pages, other]}))

    trace = measure_trace(path)

    assert trace.requests == 24 * 30
    assert trace.hours[0] == pytest.approx(0.1)
    assert "bursts shorter than that can't be seen" in "; ".join(trace.notes)


def test_the_consoles_csv(tmp_path):
    rows = [
        "Full label,Invocations",
        "Label,Invocations",
        *(f"2026/11/02 0{at // 60}:{at % 60:02d}:00,6" for at in range(120)),
    ]

    trace = measure_trace(write(tmp_path / "console.csv", rows))

    assert trace.requests == 720
    assert trace.hours[0] == pytest.approx(0.1)
    assert "UTC is assumed" in "; ".join(trace.notes)


def test_counts_by_period_are_not_taken_for_requests(tmp_path):
    rows = ["Timestamp,Sum", *(f"{iso(at * 60)},300" for at in range(60))]

    assert measure_trace(write(tmp_path / "sums.csv", rows)).hours[0] == pytest.approx(5)


def test_a_replay_of_counts_keeps_each_periods_requests(tmp_path):
    path = statistics(tmp_path, datapoints([10, 0, 40, 20]))

    again = replay(path, np.random.default_rng(0), begin=60, seconds=150)

    assert np.bincount((again // 60).astype(int), minlength=3)[:2].tolist() == [0, 40]
    assert 2 <= (again >= 120).sum() <= 18


def test_a_period_is_asked_for_where_it_cant_be_told(tmp_path):
    path = statistics(tmp_path, datapoints([90]))

    assert "give trace_period_seconds" in faults_of(path)
    assert measure_trace(path, period=60).requests == 90


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"Datapoints": []}, "has no datapoints"),
        ({"Label": "ModelLatency", "Datapoints": datapoints([1, 2])}, "Label: is 'ModelLatency'; expected the metric"),
        ({"Datapoints": [{"Timestamp": iso(0), "Average": 1}]}, "has Average, Timestamp; expected Sum"),
        ({"Datapoints": [{"Timestamp": "noon", "Sum": 1}]}, "has the time 'noon'"),
        ({"Datapoints": [{"Timestamp": iso(0), "Sum": -1}]}, "has the sum -1"),
        ({"Datapoints": [*datapoints([1, 2]), *datapoints([3])]}, "has two datapoints"),
        ({"Datapoints": datapoints([0, 0])}, "has no request at all"),
        ({"MetricDataResults": [{"Label": "a", "Timestamps": [], "Values": [1]}]}, "lists of one length"),
        (
            {"MetricDataResults": [{"Label": "a", "Timestamps": [iso(0)], "Values": [1], "StatusCode": "PartialData"}]},
            "is 'PartialData'",
        ),
        (
            {"MetricDataResults": [{"Label": name, "Timestamps": [iso(0)], "Values": [1]} for name in "ab"]},
            "has a, b; expected one metric",
        ),
        ({"something": 1}, "has neither Datapoints"),
        ([], "has neither Datapoints"),
    ],
)
def test_what_is_no_export_is_told(tmp_path, document, told):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document))

    assert told in faults_of(path)


def test_a_days_sums_say_nothing_of_hours(tmp_path):
    trace = measure_trace(statistics(tmp_path, datapoints([86_400] * 14, period=86_400)))

    assert trace.hours == pytest.approx((1.0,) * 168)
    assert trace.dispersions == ()
