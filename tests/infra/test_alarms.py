"""Alarms ring on what AWS publishes, in its units, and each says where the runbook begins."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from infra.alarm_rules import IDLE_HOURS, MOST_ROLLBACK_ALARMS, alarms_of, idle_parts, job_alarms, rollback_alarms
from infra.fleets import fleets
from rerank_toolkit.contracts.plan import Expectation, Operations

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
WITHOUT_ALARM = {"Budget", "What watching costs"}

# The developer guide's lists, by kind of endpoint: what isn't there is published of no endpoint of that kind.
INVOKED = {"Invocation4XXErrors", "Invocation5XXErrors", "ModelLatency"}
PUBLISHED = {
    "realtime": INVOKED | {"Invocations", "InvocationModelErrors", "OverheadLatency"},
    "serverless": INVOKED
    | {"Invocations", "OverheadLatency", "ModelSetupTime"}
    | {"ServerlessConcurrentExecutionsUtilization", "ServerlessProvisionedConcurrencyUtilization"},
    "async": INVOKED
    | {"ApproximateBacklogSize", "ApproximateBacklogSizePerInstance", "ApproximateAgeOfOldestRequest"}
    | {"HasBacklogWithoutCapacity", "InvocationFailures", "ExpiredRequests"},
    "inference-component": INVOKED
    | {"Invocations", "InvocationModelErrors", "OverheadLatency"}
    | {"NoCapacityInvocationFailures"},
}
OF_THE_QUEUE = {name for name in PUBLISHED["async"] if name.startswith(("Approximate", "HasBacklog"))}


@pytest.fixture
def asked(deployment):
    """A real-time endpoint of which the plan expects something."""

    def make(**changes):
        expected = Expectation(p95_ms=120.0, basis="measured")
        return deployment(**({"expected": expected} | changes))

    return make


def _sections():
    return {line.removeprefix("## ").strip() for line in RUNBOOK.read_text().splitlines() if line.startswith("## ")}


def _names(deployment):
    return [alarm.name for alarm in alarms_of(deployment)]


def _all(deployment):
    """Every alarm that a deployment can have."""
    parts = [part for fleet in fleets(deployment) for part in idle_parts(fleet)]
    return [*alarms_of(deployment), *parts, *rollback_alarms(deployment, "config"), *job_alarms(deployment, "arn")]


def test_each_alarm_has_its_section_in_the_runbook_and_each_section_its_alarm(every_mode):
    sections = {alarm.section for deployment in every_mode.deployments for alarm in _all(deployment)}
    assert sections == _sections() - WITHOUT_ALARM


def test_links_within_the_runbook_lead_somewhere():
    text = RUNBOOK.read_text()
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= _sections()
    for file in re.findall(r"\]\(([\w/-]+\.md)\)", text):
        assert (RUNBOOK.parent / file).exists(), file


def test_alarms_look_at_what_aws_publishes_of_that_kind_under_its_dimensions(every_mode):
    for deployment in every_mode.deployments:
        for alarm in alarms_of(deployment):
            for metric in alarm.metrics.values():
                if metric.namespace != "AWS/SageMaker":
                    assert metric.name.startswith(("CPU", "Memory", "GPU")), alarm.full_name
                    continue
                assert metric.name in PUBLISHED[deployment.mode], alarm.full_name
                if metric.name in OF_THE_QUEUE:
                    expected = {"EndpointName"}
                elif deployment.mode == "inference-component":
                    expected = {"InferenceComponentName"}
                else:
                    expected = {"EndpointName", "VariantName"}
                assert set(metric.dimensions) == expected, alarm.full_name


def test_alarms_have_names_of_their_own_whatever_endpoints_and_variants_are_called(every_mode, asked):
    (variant,) = next(each for each in every_mode.deployments if each.stack == "RerankRealtime").variants
    names = ("a", "rollout", "server-errors")
    one = asked(stack="A", variants=[msgspec.structs.replace(variant, name=name) for name in names])
    found = [alarm.full_name for each in [*every_mode.deployments, one, asked(stack="A-a")] for alarm in _all(each)]
    assert len(set(found)) == len(found)


def test_an_endpoint_without_data_is_not_one_in_trouble(every_mode):
    for deployment in every_mode.deployments:
        for alarm in [*alarms_of(deployment), *rollback_alarms(deployment, "config")]:
            assert alarm.missing == "notBreaching", alarm.full_name


def test_latency_is_held_against_the_plans_expectation_in_microseconds(asked, render):
    template = render(asked())
    (alarm,) = [
        each["Properties"]
        for each in template.resources("AWS::CloudWatch::Alarm")
        if each["Properties"]["AlarmName"] == "RerankTinyCpu.latency"
    ]
    assert (alarm["MetricName"], alarm["ExtendedStatistic"], alarm["Threshold"]) == ("ModelLatency", "p95", 240_000)
    assert "Statistic" not in alarm


def test_without_an_expectation_there_is_no_alarm_on_latency(deployment):
    assert "latency" not in _names(deployment())
    assert [alarm.name for alarm in rollback_alarms(deployment(), "config")] == ["server-errors.rollout"]


def test_nobody_is_told_of_a_shadow_that_fails(every_mode):
    (shadowed,) = [each for each in every_mode.deployments if each.stack == "RerankShadowed"]
    assert [name for name in _names(shadowed) if name.startswith("turbo.")] == ["turbo.memory"]
    assert not [alarm for alarm in rollback_alarms(shadowed, "config") if "turbo" in alarm.name]


@pytest.mark.parametrize(
    ("changes", "metric", "threshold"),
    [
        ({"instance": "ml.c7i.xlarge"}, "CPUUtilization", 180.0),  # two cores of four CPUs
        ({"instance": "ml.c7g.xlarge"}, "CPUUtilization", 360.0),  # each CPU of a Graviton is a core
        ({"instance": "ml.c7i.xlarge", "environment": {"RERANK_THREADS": "1"}}, "CPUUtilization", 90.0),
        ({"instance": "ml.g5.xlarge", "dtype": "fp16"}, "GPUUtilization", 90.0),
    ],
)
def test_saturated_is_what_computes_and_not_the_whole_machine(deployment, changes, metric, threshold):
    (alarm,) = [alarm for alarm in alarms_of(deployment(**changes)) if alarm.name == "saturated"]
    assert alarm.metrics["m"].name == metric
    assert alarm.threshold == pytest.approx(threshold)


def test_what_sleeps_is_missed_when_it_does_not_wake(every_mode):
    sleeping = {each.stack for each in every_mode.deployments if "no-capacity" in _names(each)}
    assert sleeping == {"RerankAsync", "RerankComponent"}


def test_idle_needs_instances_for_a_day_and_no_request_for_a_day(deployment, render):
    unasked, running = idle_parts(fleets(deployment())[0])
    assert (unasked.missing, unasked.below) == ("breaching", True)  # SageMaker publishes no zero
    assert (running.missing, running.below) == ("notBreaching", False)  # so a new endpoint is not idle at once
    assert unasked.periods * unasked.period_s == running.datapoints * running.period_s == IDLE_HOURS * 3600
    template = render(deployment())
    (idle,) = template.resources("AWS::CloudWatch::CompositeAlarm")
    rule = "".join(
        part if isinstance(part, str) else template["Resources"][part["Ref"]]["Properties"]["AlarmName"]
        for part in idle["Properties"]["AlarmRule"]["Fn::Join"][1]
    )
    assert rule == 'ALARM("RerankTinyCpu.unasked") AND ALARM("RerankTinyCpu.running")'


def test_serverless_is_never_idle_for_it_bills_by_the_request(every_mode, synthesise):
    template = synthesise(every_mode).get_stack_by_name("RerankServerless").template
    kinds = [resource["Type"] for resource in template["Resources"].values()]
    assert "AWS::CloudWatch::Alarm" in kinds
    assert "AWS::CloudWatch::CompositeAlarm" not in kinds


def test_every_alarm_that_tells_tells_the_topic_when_it_rings_and_when_it_is_over(asked, render):
    template = render(asked())
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    properties = [each["Properties"] for kind in kinds for each in template.resources(kind)]
    silent = {each["AlarmName"] for each in properties if "AlarmActions" not in each}
    assert silent == {
        f"RerankTinyCpu.{name}" for name in ("unasked", "running", "server-errors.rollout", "latency.rollout")
    }
    for each in properties:
        if each["AlarmName"] not in silent:
            (topic,) = each["AlarmActions"]
            assert "Alerts" in topic["Fn::ImportValue"]
            assert each["OKActions"] == [topic]


def test_descriptions_lead_to_the_runbook_of_the_plan_and_fit(every_mode, synthesise):
    runbook = f"https://wiki.example.com/{'x' * 370}"
    plan = msgspec.structs.replace(every_mode, operations=Operations(runbook=runbook))
    for stack in synthesise(plan).stacks:
        for resource in stack.template["Resources"].values():
            if resource["Type"] in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
                text = resource["Properties"]["AlarmDescription"]
                assert text.isascii()
                assert len(text) <= 1024
                if "AlarmName" in resource["Properties"]:  # what wakes a fleet tells nobody
                    assert f"{runbook}#" in text


def test_a_rollout_looks_at_ten_alarms_at_most_errors_first(asked, every_mode):
    (variant,) = next(each for each in every_mode.deployments if each.stack == "RerankRealtime").variants
    variants = [msgspec.structs.replace(variant, name=f"v{number}") for number in range(7)]
    alarms = rollback_alarms(asked(variants=variants), "config")
    assert len(alarms) == MOST_ROLLBACK_ALARMS
    assert ["server-errors" in alarm.name for alarm in alarms] == [True] * 8 + [False] * 2
