"""One alarm: what rings, when, and which section of the runbook says what to do then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.metrics import Metric

_STATISTICS = {"SampleCount", "Average", "Sum", "Minimum", "Maximum"}


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Rings when `datapoints` of the last `periods` are at the threshold or beyond."""

    endpoint: str
    name: str
    section: str
    """Of the runbook."""
    means: str
    """In a sentence, in ASCII."""
    metrics: Mapping[str, Metric]
    """By the names that `expression` calls them by."""
    expression: str = ""
    """Metric math; empty where there is one metric, which is compared as it is."""
    threshold: float
    below: bool = False
    """Rings under the threshold instead."""
    period_s: int = 60
    periods: int
    datapoints: int
    missing: Literal["notBreaching", "breaching"] = "notBreaching"
    """What no data is taken for. Where nobody asks, most metrics are not published, and nothing is wrong."""

    @property
    def full_name(self) -> str:
        """Fixed, so that a role and a rollout can name the alarm before it stands. Names of endpoints and variants have
        no dot, so no two alarms are called alike."""
        return f"{self.endpoint}.{self.name}"

    @property
    def window_s(self) -> int:
        """From the first bad datapoint to the alarm."""
        return self.datapoints * self.period_s

    def describe(self, runbook: str) -> str:
        return f"{self.means} See {runbook}#{self.section}"


def alarm_arn(stack: cdk.Stack, name: str) -> str:
    """Of an alarm of the stack's account and region, or of all with *."""
    return stack.format_arn(
        service="cloudwatch", resource="alarm", resource_name=name, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )


def add_alarm(scope: Construct, alarm: Alarm, *, runbook: str, actions: Sequence[str]) -> cloudwatch.CfnAlarm:
    """actions: ARNs of what hears of it when it rings, and when it is over."""
    alone = None if alarm.expression else next(iter(alarm.metrics.values()))
    percentile = alone is not None and alone.statistic not in _STATISTICS
    return cloudwatch.CfnAlarm(
        scope,
        alarm.name,
        alarm_name=alarm.full_name,
        alarm_description=alarm.describe(runbook),
        metrics=None if alone else _queries(alarm),
        namespace=alone.namespace if alone else None,
        metric_name=alone.name if alone else None,
        dimensions=_dimensions(alone) if alone else None,
        statistic=alone.statistic if alone and not percentile else None,
        extended_statistic=alone.statistic if alone and percentile else None,
        period=alarm.period_s if alone else None,
        comparison_operator="LessThanThreshold" if alarm.below else "GreaterThanOrEqualToThreshold",
        threshold=alarm.threshold,
        evaluation_periods=alarm.periods,
        datapoints_to_alarm=alarm.datapoints,
        treat_missing_data=alarm.missing,
        alarm_actions=list(actions) or None,
        ok_actions=list(actions) or None,
    )


def _queries(alarm: Alarm) -> list[cloudwatch.CfnAlarm.MetricDataQueryProperty]:
    result = cloudwatch.CfnAlarm.MetricDataQueryProperty(
        id="result", expression=alarm.expression, label=alarm.name, return_data=True
    )
    parts = (
        cloudwatch.CfnAlarm.MetricDataQueryProperty(
            id=name,
            metric_stat=cloudwatch.CfnAlarm.MetricStatProperty(
                metric=cloudwatch.CfnAlarm.MetricProperty(
                    namespace=metric.namespace, metric_name=metric.name, dimensions=_dimensions(metric)
                ),
                period=alarm.period_s,
                stat=metric.statistic,
            ),
            return_data=False,
        )
        for name, metric in alarm.metrics.items()
    )
    return [result, *parts]


def _dimensions(metric: Metric) -> list[cloudwatch.CfnAlarm.DimensionProperty]:
    return [cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value) for name, value in metric.dimensions.items()]
