"""Alarms: their state from datapoints by hand, metric math, actions, and steps of scaling."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.cloudwatch.models import (
    Alarm,
    Dimension,
    Metric,
    MetricAggregatedDatum,
    MetricDataQuery,
    MetricDatum,
    MetricDatumBase,
    MetricStat,
)

from rerank_toolkit.local_sagemaker.alarms import metric_data
from rerank_toolkit.local_sagemaker.alarms.evaluation import judge
from rerank_toolkit.local_sagemaker.alarms.expressions import UnknownExpression, evaluate
from rerank_toolkit.local_sagemaker.alarms.metric_data import MetricData, UnknownStatistic, metric_key
from rerank_toolkit.local_sagemaker.alarms.step_scaling import adjust, find_step

from .conftest import LocalAws
from .serving import eventually

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACE = [{"Name": "EndpointName", "Value": "e"}]
KEY = metric_key("N", "M", [Dimension("EndpointName", "e")])


def datum(value: float, *, ago_s: float, name: str = "M") -> MetricDatum:
    return MetricDatum("N", name, value, PLACE, NOW - timedelta(seconds=ago_s))


def make_alarm(**more: Any) -> Alarm:
    settings: dict[str, Any] = {
        "account_id": "123456789012",
        "region_name": "us-east-1",
        "name": "any",
        "namespace": "N",
        "metric_name": "M",
        "metric_data_queries": None,
        "comparison_operator": "GreaterThanOrEqualToThreshold",
        "evaluation_periods": 3,
        "datapoints_to_alarm": 2,
        "period": 60,
        "threshold": 10,
        "statistic": "Average",
        "extended_statistic": None,
        "description": "",
        "dimensions": PLACE,
        "alarm_actions": [],
        "ok_actions": [],
        "insufficient_data_actions": [],
        "unit": None,
        "actions_enabled": True,
        "treat_missing_data": None,
        "evaluate_low_sample_count_percentile": None,
        "threshold_metric_id": None,
        "rule": None,
    }
    return Alarm(**{**settings, **more})


def state(alarm: Alarm, data: Sequence[MetricDatumBase], *, scale: float = 1.0) -> str:
    taken = MetricData(list(data))
    taken.refresh()
    return judge(alarm, taken, NOW.timestamp(), scale=scale).state


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((10, 10, 0), "ALARM"),  # newest first
        ((0, 10, 10), "ALARM"),
        ((10, 0, 0), "OK"),
        ((10, None, 10), "ALARM"),
        ((10, None, None), "OK"),
        ((None, None, None), "INSUFFICIENT_DATA"),
    ],
)
def test_as_many_of_the_last_periods_as_it_needs_must_breach(values: Sequence[float | None], expected: str) -> None:
    data = [datum(value, ago_s=30 + 60 * at) for at, value in enumerate(values) if value is not None]
    assert state(make_alarm(), data) == expected


@pytest.mark.parametrize(
    ("treated", "nothing", "one_good", "one_bad"),
    [
        ("missing", "INSUFFICIENT_DATA", "OK", "OK"),
        ("ignore", "OK", "OK", "OK"),
        ("notBreaching", "OK", "OK", "OK"),
        ("breaching", "ALARM", "ALARM", "ALARM"),
    ],
)
def test_missing_data_are_treated_as_the_alarm_says(treated: str, nothing: str, one_good: str, one_bad: str) -> None:
    alarm = make_alarm(treat_missing_data=treated)
    assert state(alarm, []) == nothing
    assert state(alarm, [datum(0, ago_s=90)]) == one_good
    assert state(alarm, [datum(20, ago_s=90)]) == one_bad


def test_a_faster_time_shortens_the_periods() -> None:
    data = [datum(10, ago_s=ago_s) for ago_s in (0.5, 1.5)]
    assert state(make_alarm(), data) == "OK", "both are in the last minute"
    assert state(make_alarm(), data, scale=0.001) == "ALARM", "each is in a second of its own"


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [("Sum", 20), ("SampleCount", 6), ("Average", 20 / 6), ("Minimum", 1), ("Maximum", 8), ("p50", 2), ("p90", 8)],
)
def test_statistics_of_single_values_and_of_sums(statistic: str, expected: float) -> None:
    summed = MetricAggregatedDatum("N", "M", 1, 3, 3, 6, PLACE, NOW - timedelta(seconds=5))
    data = MetricData([datum(8, ago_s=1), summed, datum(3, ago_s=2), datum(3, ago_s=3), datum(99, ago_s=100)])
    data.refresh()
    now = NOW.timestamp()
    assert data.statistic(KEY, statistic, now - 60, now) == pytest.approx(expected)
    assert data.statistic(KEY, statistic, now - 300, now - 200) is None
    with pytest.raises(UnknownStatistic):
        data.statistic(KEY, "TM(10%:90%)", now - 60, now)


def test_the_oldest_data_are_forgotten_and_new_ones_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_data, "MOST_DATA", 10)
    monkeypatch.setattr(metric_data, "_TRIMMED_AT_ONCE", 5)
    kept: list[MetricDatumBase] = [datum(1, ago_s=100 - at) for at in range(20)]
    data = MetricData(kept)
    data.refresh()
    assert len(kept) == 10
    kept.append(datum(1, ago_s=10))
    data.refresh()
    now = NOW.timestamp()
    assert data.statistic(KEY, "Sum", 0, now) == 11


M: dict[str, Sequence[float | None]] = {"a": [1.0, None, 4.0], "b": [2.0, 5.0, 0.0]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(a + b) * 2 - 1", [5.0, None, 7.0]),
        ("a / b", [0.5, None, None]),
        ("-b", [-2.0, -5.0, 0.0]),
        ("a > 3", [0.0, None, 1.0]),
        ("IF(b > 1, b, 0)", [2.0, 5.0, 0.0]),
        ("IF(b > 1, b)", [2.0, 5.0, None]),
        ("FILL(a, 0) + b", [3.0, 5.0, 4.0]),
        ("FILL(a, REPEAT)", [1.0, 4.0, 4.0]),
        ("SUM([a, b])", [3.0, 5.0, 4.0]),
        ("MAX(b)", [5.0, 5.0, 5.0]),
        ("AVG(a)", [2.5, 2.5, 2.5]),
        ("a > 0 AND b > 1", [1.0, 1.0, 0.0]),
        ("a > 3 || b > 4", [0.0, 1.0, 1.0]),
        ("CEIL(a / 3)", [1.0, None, 2.0]),
    ],
)
def test_metric_math(expression: str, expected: Sequence[float | None]) -> None:
    assert list(evaluate(expression, M, 3)) == expected


@pytest.mark.parametrize("expression", ["SEARCH('{AWS/SageMaker}', 'Sum')", "a +", "c", "__import__('os')", "a.b"])
def test_metric_math_that_is_unknown_says_so(expression: str) -> None:
    with pytest.raises(UnknownExpression):
        evaluate(expression, M, 3)


def query(name: str, metric: str | None = None, expression: str | None = None, *, shown: bool) -> MetricDataQuery:
    stat = MetricStat(Metric(metric, "N", [Dimension("EndpointName", "e")]), "60", "Sum", "") if metric else None
    return MetricDataQuery(name, "", "", str(shown).lower(), expression, stat)


def test_an_alarm_on_a_share_of_two_metrics() -> None:
    queries = [
        query("failed", "F", shown=False),
        query("all", "A", shown=False),
        query("share", expression="failed / all", shown=True),
    ]
    alarm = make_alarm(metric_data_queries=queries, evaluation_periods=1, datapoints_to_alarm=None, threshold=0.5)
    requests = [datum(1, ago_s=5, name="A") for _ in range(4)]
    assert state(alarm, [*requests, datum(1, ago_s=5, name="F")]) == "OK"
    assert state(alarm, [*requests, *(datum(1, ago_s=5, name="F") for _ in range(2))]) == "ALARM"
    alarm = make_alarm(metric_data_queries=[query("x", expression="ANOMALY_DETECTION_BAND(a)", shown=True)])
    assert state(alarm, []) == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(("over_by", "adjustment"), [(-1.0, None), (0.0, 1), (4.9, 1), (5.0, 3), (1000.0, 3)])
def test_the_step_is_the_one_within_whose_bounds_the_metric_is(over_by: float, adjustment: int | None) -> None:
    steps = [
        {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 5.0, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 5.0, "ScalingAdjustment": 3},
    ]
    assert find_step(steps, over_by) == adjustment


@pytest.mark.parametrize(
    ("kind", "present", "adjustment", "least", "expected"),
    [
        ("ChangeInCapacity", 2, -1, 0, 1),
        ("ExactCapacity", 2, 5, 0, 5),
        ("PercentChangeInCapacity", 10, 25, 0, 12),
        ("PercentChangeInCapacity", 2, 10, 0, 3),
        ("PercentChangeInCapacity", 10, -25, 0, 8),
        ("PercentChangeInCapacity", 10, 10, 4, 14),
    ],
)
def test_a_step_in_instances(kind: str, present: int, adjustment: int, least: int, expected: int) -> None:
    assert adjust(kind, present, adjustment, least) == expected


def test_an_alarm_rings_by_its_metric_tells_and_is_calm_again(local_aws: LocalAws) -> None:
    cloudwatch, sns, sqs = (local_aws.client(name) for name in ("cloudwatch", "sns", "sqs"))
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    url = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    alarm = {
        "Namespace": "Tests",
        "MetricName": "Heat",
        "Statistic": "Maximum",
        "EvaluationPeriods": 1,
        "Threshold": 40.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    cloudwatch.put_metric_alarm(
        AlarmName="hot", Period=5, AlarmActions=[topic], OKActions=[topic], AlarmDescription="see the runbook", **alarm
    )
    cloudwatch.put_metric_alarm(AlarmName="by-hand", Period=60, **alarm)
    cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule='ALARM("hot") AND ALARM("by-hand")')
    cloudwatch.set_alarm_state(AlarmName="by-hand", StateValue="ALARM", StateReason="a drill")
    time.sleep(1.5)  # looked at meanwhile, and left as it is

    def ringing() -> list[str]:
        found = cloudwatch.describe_alarms(
            AlarmNames=["hot", "by-hand", "both"], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        alarms = [*found["MetricAlarms"], *found["CompositeAlarms"]]
        return sorted(alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM")

    assert ringing() == ["by-hand"]
    cloudwatch.put_metric_data(Namespace="Tests", MetricData=[{"MetricName": "Heat", "Value": 41.0}])
    eventually(lambda: ringing() == ["both", "by-hand", "hot"])

    def told() -> dict[str, Any]:
        (message,) = eventually(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        document: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
        return document

    message = told()
    assert (message["AlarmName"], message["OldStateValue"], message["NewStateValue"]) == ("hot", "OK", "ALARM")
    assert message["AlarmDescription"] == "see the runbook"
    assert "1 of the last 1 datapoints [41]" in message["NewStateReason"]
    message = told()
    assert (message["OldStateValue"], message["NewStateValue"]) == ("ALARM", "OK")
    eventually(lambda: ringing() == ["by-hand"])
    cloudwatch.delete_alarms(AlarmNames=["hot", "by-hand", "both"])
