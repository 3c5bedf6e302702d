"""What the dashboard shows: sound JSON, of what is published, in units that people read."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import combinations

import msgspec
import pytest

from inference_container.emf import LEVELS, TOTALS, VALUES
from infra.dashboard import COLUMNS, dashboard_body
from rerank_toolkit.contracts.plan import CostLine, Expectation


def _body(plan, deployment):
    return dashboard_body(plan(deployment), deployment, alarms=["arn"], log_group_name="/aws/sagemaker/Endpoints/X")


def _graphs(body):
    return {each["properties"]["title"]: each["properties"] for each in body["widgets"] if each["type"] == "metric"}


def _expressions(graph):
    return [row[0]["expression"] for row in graph["metrics"] if isinstance(row[0], dict)]


def _expected(rate):
    line = CostLine(
        name="ml.c7i.xlarge, 2 x 730 hours",
        unit="hour",
        quantity=Decimal(1460),
        rate=Decimal(rate),
        cost=1460 * Decimal(rate),
        basis="published",
    )
    return Expectation(p95_ms=120.0, monthly_cost=line.cost, cost_components=[line], basis="published")


@pytest.fixture
def bodies(every_mode):
    return {
        each.stack: dashboard_body(every_mode, each, alarms=["arn"], log_group_name="/aws/sagemaker/Endpoints/X")
        for each in every_mode.deployments
        if each.mode != "batch"
    }


def test_widgets_lie_on_the_grid_and_not_on_each_other(bodies):
    for stack, body in bodies.items():
        boxes = [(each["x"], each["y"], each["width"], each["height"]) for each in body["widgets"]]
        assert all(x + width <= COLUMNS for x, _, width, _ in boxes), stack
        for (x, y, width, height), (x2, y2, width2, height2) in combinations(boxes, 2):
            apart = x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y
            assert apart, stack


def test_expressions_use_what_is_in_their_graph_under_names_of_its_own(bodies):
    for stack, body in bodies.items():
        for title, graph in _graphs(body).items():
            names = [row[-1]["id"] for row in graph["metrics"]]
            assert len(set(names)) == len(names), (stack, title)
            for expression in _expressions(graph):
                if not expression.startswith("SEARCH"):
                    used = set(re.findall(r"\b[me]\d+\b", expression))
                    assert used, (stack, title)
                    assert used <= set(names), (stack, title)


@pytest.mark.parametrize(
    ("stack", "shown", "hidden"),
    [
        ("RerankRealtime", {"CPU", "Instances", "Wait before a batch"}, {"GPU", "Requests in the queue"}),
        ("RerankGpu", {"GPU", "GPU memory", "Tokens"}, {"Cold starts", "Copies"}),
        ("RerankServerless", {"Concurrency in use", "Cold starts", "Memory"}, {"CPU", "Instances"}),
        ("RerankAsync", {"Requests in the queue", "Wait of the oldest", "Lost"}, {"Time in SageMaker besides"}),
        ("RerankComponent", {"CPU", "Copies", "Instances"}, {"Wait before a batch"}),
        ("RerankPackage", {"CPU", "Time in the container"}, {"Wait before a batch"}),
    ],
)
def test_each_mode_shows_what_it_publishes(bodies, stack, shown, hidden):
    titles = set(_graphs(bodies[stack]))
    assert shown <= titles
    assert not hidden & titles


def test_times_are_in_milliseconds_beside_what_the_plan_expects(plan, deployment):
    graph = _graphs(_body(plan, deployment(expected=_expected("0.2142"))))["Time in the container"]
    assert _expressions(graph) == [f"m{number} / 1000" for number in (0, 2, 4)]
    assert [row[-1]["stat"] for row in graph["metrics"] if len(row) > 1] == ["p50", "p95", "p99"]
    assert graph["annotations"]["horizontal"] == [
        {"label": "p95 expected", "value": 120.0},
        {"label": "alarm", "value": 240.0},
    ]


def test_dollars_are_instances_times_the_plans_rate_beside_the_plans_average(plan, deployment):
    graph = _graphs(_body(plan, deployment(count=2, expected=_expected("0.2142"))))["Dollars an hour"]
    (row, _) = graph["metrics"]
    assert row[:2] == ["/aws/sagemaker/Endpoints", "CPUUtilization"]
    assert row[-1]["stat"] == "SampleCount"  # each instance reports once a minute
    assert _expressions(graph) == ["m0 / (PERIOD(m0) / 60) * 0.2142"]
    assert graph["annotations"]["horizontal"] == [{"label": "planned, on average", "value": 0.4284}]


def test_without_a_rate_there_is_no_graph_of_dollars(plan, deployment):
    assert "Dollars an hour" not in _graphs(_body(plan, deployment()))


def test_cpu_is_shown_as_a_share_of_the_machine(plan, deployment):
    graph = _graphs(_body(plan, deployment(instance="ml.c7i.xlarge")))["CPU"]
    assert _expressions(graph) == ["m0 / 4", "m2 / 4"]


def test_what_the_container_counts_is_asked_for_by_names_that_it_writes(bodies):
    written = {metric.name for metric in (*LEVELS, *TOTALS, *VALUES)}
    asked = set()
    for body in bodies.values():
        for graph in _graphs(body).values():
            for expression in _expressions(graph):
                if expression.startswith("SEARCH"):
                    (name,) = re.findall(r'MetricName="(\w+)"', expression)
                    asked.add(name)
                    (dimensions,) = re.findall(r"\{(.*?)\}", expression)
                    assert dimensions.split(",")[:5] == ['"Rerank"', "EndpointName", "Model", "Engine", "Dtype"]
    assert asked
    assert asked <= written


def test_variants_are_told_apart(bodies):
    graph = _graphs(bodies["RerankRealtime"])["Requests"]
    assert [row[-1]["label"] for row in graph["metrics"]] == ["AllTraffic: requests", "turbo: requests"]


def test_the_body_in_the_template_is_json_in_ascii(plan, deployment, synthesise):
    made = plan(deployment(), workload="10 queries × 20 documents")
    template = synthesise(made).get_stack_by_name("RerankTinyCpu").template
    (dashboard,) = [each for each in template["Resources"].values() if each["Type"] == "AWS::CloudWatch::Dashboard"]
    parts = dashboard["Properties"]["DashboardBody"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else "REF" for part in parts)
    assert text.isascii()
    body = json.loads(text)
    (alarms,) = [each for each in body["widgets"] if each["type"] == "alarm"]
    for name in ("server-errors", "idle"):
        assert f"arn:aws:cloudwatch:us-east-1:REF:alarm:RerankTinyCpu.{name}" in alarms["properties"]["alarms"]
    assert body["widgets"][0]["properties"]["markdown"].startswith("# RerankTinyCpu\n")
    assert dashboard["Properties"]["DashboardName"] == "RerankTinyCpu-us-east-1"


def test_the_log_of_a_package_is_shown_as_it_is(bodies):
    queries = {stack: body["widgets"][-1]["properties"]["query"] for stack, body in bodies.items()}
    assert "@message" in queries["RerankPackage"]
    assert "@message" not in queries["RerankRealtime"]
    assert all(query.startswith("SOURCE '/aws/sagemaker/Endpoints/X'") for query in queries.values())


def test_instances_are_shown_between_the_bounds_of_their_scaling(plan, deployment, scaling):
    graph = _graphs(_body(plan, deployment(scaling=scaling(min_instances=1, max_instances=4))))["Instances"]
    assert graph["annotations"]["horizontal"] == [{"label": "least", "value": 1}, {"label": "most", "value": 4}]


def test_variants_in_the_bill_are_added(plan, deployment, every_mode):
    (both,) = [each for each in every_mode.deployments if each.stack == "RerankRealtime"]
    (turbo,) = both.variants
    both = msgspec.structs.replace(
        both,
        expected=_expected("0.2142"),
        variants=[msgspec.structs.replace(turbo, instance="ml.c7i.xlarge", expected=_expected("0.2142"))],
    )
    graph = _graphs(_body(plan, both))["Dollars an hour"]
    assert graph["annotations"]["horizontal"] == [{"label": "planned, on average", "value": 0.8568}]
    assert len(_expressions(graph)) == 2
