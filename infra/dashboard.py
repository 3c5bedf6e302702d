"""One endpoint at a glance: a CloudWatch dashboard, called like the endpoint and its region."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.alarm import alarm_arn
from infra.alarm_rules import alarms_of, idle_names
from infra.description import describe
from infra.graphs import graphs_of
from infra.served import all_served, is_package
from rerank_toolkit.contracts.plan import Deployment, Plan

COLUMNS = 24
GRAPH_WIDTH, GRAPH_HEIGHT = 8, 6

Widget = dict[str, Any]


def add_dashboard(
    scope: Construct, plan: Plan, deployment: Deployment, *, log_group_name: str
) -> cloudwatch.CfnDashboard:
    stack = cdk.Stack.of(scope)
    alarms = [
        alarm_arn(stack, name)
        for name in (*(alarm.full_name for alarm in alarms_of(deployment)), *idle_names(deployment))
    ]
    body = dashboard_body(plan, deployment, alarms=alarms, log_group_name=log_group_name)
    # Escaped to ASCII. What CloudFormation fills in are parts of ARNs, which need no escaping.
    return cloudwatch.CfnDashboard(
        scope,
        "Dashboard",
        dashboard_name=f"{deployment.stack}-{plan.region}",  # of a name an account has one, in all regions together
        dashboard_body=json.dumps(body),
    )


def dashboard_body(plan: Plan, deployment: Deployment, *, alarms: Sequence[str], log_group_name: str) -> dict[str, Any]:
    """As CloudWatch's "Dashboard Body Structure and Syntax" has it; alarms: ARNs of those whose state is shown."""
    widgets: list[tuple[int, int, Widget]] = [
        (COLUMNS, 3, {"type": "text", "properties": {"markdown": _headline(plan, deployment)}}),
        (COLUMNS, 3, {"type": "alarm", "properties": {"title": "Alarms", "alarms": list(alarms)}}),
        *(
            (GRAPH_WIDTH, GRAPH_HEIGHT, {"type": "metric", "properties": graph.properties(plan.region)})
            for graph in graphs_of(deployment)
        ),
        (COLUMNS, GRAPH_HEIGHT, {"type": "log", "properties": _log(plan, deployment, log_group_name)}),
    ]
    return {
        "start": "-PT3H",
        "periodOverride": "inherit",  # what is counted by the minute must be shown by it
        "widgets": list(_placed(widgets)),
    }


def _placed(widgets: Iterable[tuple[int, int, Widget]]) -> Iterator[Widget]:
    """From left to right, in rows as high as their first."""
    x = y = row = 0
    for width, height, widget in widgets:
        if x + width > COLUMNS or (x and height != row):
            x, y = 0, y + row
        row = height
        yield {"x": x, "y": y, "width": width, "height": height, **widget}
        x += width


def _headline(plan: Plan, deployment: Deployment) -> str:
    expected = deployment.expected
    facts = [
        f"- Workload: {plan.workload}",
        f"- Expected: p95 {_known(expected.p95_ms)} ms, {_known(expected.documents_per_second)} documents a second",
        f"- When an alarm rings: {plan.operations.runbook}",
    ]
    if deployment.mode == "inference-component":
        facts.append(
            "- Queue, tokens and workers: SageMaker reads them from the container; PromQL in CloudWatch finds them by "
            "the names in docs/reference/metrics.md"
        )
    return "\n".join([f"# {deployment.stack}", describe(plan, deployment), "", *facts])


def _known(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _log(plan: Plan, deployment: Deployment, log_group_name: str) -> Widget:
    ours = not any(is_package(served) for served in all_served(deployment))
    query = (
        'fields @timestamp, event, outcome, reason, detail | filter level in ["error", "warning"]'
        if ours
        else "fields @timestamp, @message"
    )
    return {
        "title": "What went wrong last" if ours else "Log",
        "region": plan.region,
        "view": "table",
        "query": f"SOURCE '{log_group_name}' | {query} | sort @timestamp desc | limit 20",
    }
