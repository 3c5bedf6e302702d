"""How an update reaches an endpoint: as much at once as SageMaker allows, with alarms that take it back."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from infra.checks import check_plan
from infra.rollout import rollout_of
from rerank_toolkit.contracts.plan import Expectation, Rollout


def _config(template):
    return template.one("AWS::SageMaker::Endpoint")["DeploymentConfig"]


def _fields(plan):
    return [fault.field for fault in check_plan(plan)]


def test_with_two_instances_a_canary_goes_first(render, deployment):
    policy = _config(render(deployment(count=3)))["BlueGreenUpdatePolicy"]
    routing = policy["TrafficRoutingConfiguration"]
    assert routing == {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 300,
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
    }
    assert policy["TerminationWaitInSeconds"] == 300


@pytest.mark.parametrize(
    ("count", "percent", "instances"), [(2, 10, 1), (3, 50, 1), (10, 10, 1), (10, 25, 3), (20, 50, 10)]
)
def test_a_step_is_whole_instances_at_least_one_and_at_most_half(render, deployment, count, percent, instances):
    rollout = Rollout(kind="linear", percent=percent)
    routing = _config(render(deployment(count=count, rollout=rollout)))["BlueGreenUpdatePolicy"]
    assert routing["TrafficRoutingConfiguration"]["LinearStepSize"] == {"Type": "INSTANCE_COUNT", "Value": instances}


def test_of_a_fleet_that_grows_a_step_is_a_share_that_is_an_instance_when_it_is_smallest(render, deployment, scaling):
    template = render(deployment(count=4, scaling=scaling(min_instances=3, max_instances=30)))
    routing = _config(template)["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["CanarySize"] == {"Type": "CAPACITY_PERCENT", "Value": 34}


def test_a_single_instance_changes_over_at_once_and_the_old_one_stands_by(render, deployment):
    policy = _config(render(deployment()))["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    assert policy["TerminationWaitInSeconds"] == 300
    # With half an hour for the rest: SageMaker wants more time than the waits alone.
    assert policy["MaximumExecutionTimeoutInSeconds"] == 2 * 300 + 1200 + 480


def test_rolling_goes_back_as_it_came_for_there_is_no_room_for_two_fleets(render, deployment):
    config = _config(render(deployment(count=4, rollout=Rollout(kind="rolling", percent=25, wait_s=120))))
    assert "BlueGreenUpdatePolicy" not in config
    batch = {"Type": "INSTANCE_COUNT", "Value": 1}
    policy = config["RollingUpdatePolicy"]
    assert (policy["MaximumBatchSize"], policy["RollbackMaximumBatchSize"]) == (batch, batch)
    assert policy["MaximumExecutionTimeoutInSeconds"] == 4 * (120 + 1200 + 480)


def test_what_takes_a_rollout_back_looks_at_the_new_configuration_alone(render, deployment):
    template = render(deployment(count=2, expected=Expectation(p95_ms=120.0, basis="measured")))
    named = [alarm["AlarmName"]["Ref"] for alarm in _config(template)["AutoRollbackConfiguration"]["Alarms"]]
    assert len(named) == 2
    (config,) = [
        name for name, each in template["Resources"].items() if each["Type"] == "AWS::SageMaker::EndpointConfig"
    ]
    for name in named:
        dimensions = template["Resources"][name]["Properties"]["Dimensions"]
        by_name = {dimension["Name"]: dimension["Value"] for dimension in dimensions}
        assert by_name == {
            "EndpointName": "RerankTinyCpu",
            "VariantName": "AllTraffic",
            "EndpointConfigName": {"Fn::GetAtt": [config, "EndpointConfigName"]},
        }


def test_sagemaker_may_look_at_those_alarms_and_at_no_others(render, deployment):
    template = render(deployment(count=2))
    (policy,) = template.one("AWS::IAM::Role")["Policies"]
    (statement,) = [
        each for each in policy["PolicyDocument"]["Statement"] if each["Action"] == "cloudwatch:DescribeAlarms"
    ]
    assert statement["Resource"]["Fn::Join"][1][-1] == ":alarm:RerankTinyCpu.server-errors.rollout"


def test_where_sagemaker_has_no_rollouts_there_is_none(every_mode, synthesise):
    assembly = synthesise(every_mode)
    for stack in ("RerankServerless", "RerankPackage", "RerankBatch"):
        assert "DeploymentConfig" not in str(assembly.get_stack_by_name(stack).template), stack


@pytest.mark.parametrize(("wait_s", "warned"), [(60, True), (120, False)])
def test_a_wait_in_which_no_alarm_can_ring_is_warned_of(plan, deployment, synthesise, wait_s, warned):
    rollout = Rollout(kind="all-at-once", wait_s=wait_s)
    assembly = synthesise(plan(deployment(rollout=rollout)))
    warnings = [str(message.entry.data) for message in assembly.get_stack_by_name("RerankTinyCpu").messages]
    assert any("takes 120 s to ring" in warning for warning in warnings) is warned


def test_copies_of_an_inference_component_change_over_part_by_part(render, deployment):
    expected = Expectation(p95_ms=120.0, memory_mib=900.0, basis="measured")
    template = render(deployment(mode="inference-component", count=4, expected=expected))
    config = template.one("AWS::SageMaker::InferenceComponent")["DeploymentConfig"]
    assert config["RollingUpdatePolicy"]["MaximumBatchSize"] == {"Type": "COPY_COUNT", "Value": 1}
    names = [
        template["Resources"][alarm["AlarmName"]["Ref"]]["Properties"]["AlarmName"]
        for alarm in config["AutoRollbackConfiguration"]["Alarms"]
    ]
    assert names == ["RerankTinyCpu.server-errors", "RerankTinyCpu.latency"]
    assert "DeploymentConfig" not in template.one("AWS::SageMaker::Endpoint")


def test_the_smallest_variant_decides(every_mode):
    (both,) = [each for each in every_mode.deployments if each.stack == "RerankRealtime"]
    assert both.count == 2
    assert rollout_of(both) == Rollout(kind="all-at-once")  # the other variant has one instance


@pytest.mark.parametrize(
    ("field", "changes", "rollout"),
    [
        (".kind", {"count": 1}, Rollout(kind="canary")),
        (".kind", {"count": 1}, Rollout(kind="rolling")),
        (".percent", {"count": 4}, Rollout(kind="linear", percent=9)),
        (".percent", {"count": 4}, Rollout(kind="rolling", percent=4)),
        (".wait_s", {"count": 4}, Rollout(kind="linear", percent=10, wait_s=3600)),
    ],
)
def test_what_sagemaker_would_refuse_is_refused(plan, deployment, field, changes, rollout):
    assert _fields(plan(deployment(**changes, rollout=rollout))) == [f"deployments[0].rollout{field}"]


@pytest.mark.parametrize("stack", ["RerankServerless", "RerankBatch", "RerankPackage"])
def test_a_rollout_that_would_be_ignored_is_refused(plan, every_mode, stack):
    (found,) = [each for each in every_mode.deployments if each.stack == stack]
    refused = msgspec.structs.replace(found, rollout=Rollout(kind="all-at-once"))
    assert "deployments[0].rollout" in _fields(plan(refused))


def test_variants_do_not_roll_and_components_do_nothing_else(plan, every_mode):
    found = {each.stack: each for each in every_mode.deployments}
    (turbo,) = found["RerankRealtime"].variants
    two = msgspec.structs.replace(turbo, count=2)
    several = msgspec.structs.replace(found["RerankRealtime"], variants=[two], rollout=Rollout(kind="rolling"))
    component = msgspec.structs.replace(found["RerankComponent"], scaling=None, count=2, rollout=Rollout(kind="canary"))
    assert _fields(plan(several)) == ["deployments[0].rollout.kind"]
    assert _fields(plan(component)) == ["deployments[0].rollout.kind"]


def test_what_the_guide_shows_is_sound(plan, deployment):
    guide = (Path(__file__).parents[2] / "docs" / "plans.md").read_text()
    (shown,) = re.findall(r'^    "rollout": (\{.*\})$', guide, re.MULTILINE)
    rollout = msgspec.json.decode(shown, type=Rollout)
    assert _fields(plan(deployment(count=4, rollout=rollout))) == []
