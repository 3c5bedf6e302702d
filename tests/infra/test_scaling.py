"""Scaling: by a metric that AWS publishes of that kind of endpoint, between bounds, by the clock, and from zero."""

from __future__ import annotations

import re
from pathlib import Path

import boto3
import msgspec
import pytest

from infra.checks import check_plan
from infra.options import Options
from infra.scalable import SCALABLE
from rerank_toolkit.contracts.plan import Expectation, S3Artifact, Scaling, ScheduledBounds, Variant

TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"
ALARM = "AWS::CloudWatch::Alarm"

SERVERLESS = {
    "mode": "serverless",
    "instance": None,
    "memory_mb": 2048,
    "concurrency": 10,
    "provisioned_concurrency": 2,
}
BACKLOG = {"metric": "ApproximateBacklogSizePerInstance", "target": 5.0}
COPIES = {"metric": "SageMakerInferenceComponentInvocationsPerCopy"}
SHARE = {"metric": "SageMakerVariantProvisionedConcurrencyUtilization", "target": 0.7}


@pytest.fixture
def asynchronous(deployment, scaling):
    """Scales to zero."""

    def make(**changes):
        return deployment(mode="async", scaling=scaling(**({"min_instances": 0} | BACKLOG | changes)))

    return make


@pytest.fixture
def component(deployment, scaling):
    def make(**changes):
        return deployment(
            mode="inference-component",
            expected=Expectation(memory_mib=900.0, basis="measured"),
            scaling=scaling(**({"min_instances": 0} | COPIES | changes)),
        )

    return make


@pytest.fixture
def serverless(deployment, scaling):
    def make(**changes):
        return deployment(**SERVERLESS, scaling=scaling(**(SHARE | changes)))

    return make


def _of_type(template, kind, policy_type):
    return [
        resource["Properties"]
        for resource in template.resources(kind)
        if resource["Properties"]["PolicyType"] == policy_type
    ]


def _waking(template):
    """What an alarm starts, and the alarm."""
    (policy,) = _of_type(template, POLICY, "StepScaling")
    names = {name for name, resource in template["Resources"].items() if resource.get("Properties") is policy}
    (alarm,) = (
        resource["Properties"]
        for resource in template.resources(ALARM)
        if any(
            action.get("Fn::GetAtt", [None])[0] in names for action in resource["Properties"].get("AlarmActions", [])
        )
    )
    return policy, alarm


def test_names_are_those_of_the_api():
    """Metrics that AWS knows by name, and what can be scaled, as botocore has them."""
    shapes = boto3.client("application-autoscaling", region_name="us-east-1").meta.service_model
    metrics = {metric.name for kind in SCALABLE.values() for metric in kind.metrics if metric.predefined}
    assert metrics <= set(shapes.shape_for("MetricType").enum)
    assert {kind.dimension for kind in SCALABLE.values()} <= set(shapes.shape_for("ScalableDimension").enum)
    assert metrics == {name for name in shapes.shape_for("MetricType").enum if name.startswith("SageMaker")}


@pytest.mark.parametrize("metric", [metric.name for metric in SCALABLE["realtime"].metrics])
def test_a_variant_follows_a_predefined_metric(render, deployment, scaling, metric):
    template = render(deployment(scaling=scaling(metric=metric)))
    policy = template.one(POLICY)["TargetTrackingScalingPolicyConfiguration"]
    assert policy == {
        "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 60,
        "TargetValue": 300,
    }
    target = template.one(TARGET)
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    assert target["ResourceId"]["Fn::Join"][1][-1] == "variant/AllTraffic"


def test_each_variant_is_scaled_by_its_own_rule(render, deployment, scaling):
    turbo = Variant(
        name="turbo",
        model="jina-reranker-v1-turbo-en",
        artifact=S3Artifact(uri="s3://models/turbo/turbo.tar.gz"),
        engine="torch",
        dtype="fp32",
        instance="ml.c7i.2xlarge",
        scaling=scaling(max_instances=9),
        expected=Expectation(basis="assumed"),
    )
    template = render(deployment(scaling=scaling(), variants=[turbo]))
    bounds = {
        target["Properties"]["ResourceId"]["Fn::Join"][1][-1]: target["Properties"]["MaxCapacity"]
        for target in template.resources(TARGET)
    }
    assert bounds == {"variant/AllTraffic": 4, "variant/turbo": 9}


def test_an_asynchronous_endpoint_follows_its_backlog_which_belongs_to_no_variant(render, asynchronous):
    (tracking,) = _of_type(render(asynchronous()), POLICY, "TargetTrackingScaling")
    metric = tracking["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]
    assert (metric["Namespace"], metric["MetricName"], metric["Statistic"]) == (
        "AWS/SageMaker",
        "ApproximateBacklogSizePerInstance",
        "Average",
    )
    (dimension,) = metric["Dimensions"]
    assert dimension["Name"] == "EndpointName"
    assert dimension["Value"]["Fn::GetAtt"][1] == "EndpointName"


def test_what_sleeps_is_woken_by_a_request_that_nothing_answers(render, asynchronous):
    policy, alarm = _waking(render(asynchronous()))
    steps = policy["StepScalingPolicyConfiguration"]
    assert steps["AdjustmentType"] == "ChangeInCapacity"
    assert steps["StepAdjustments"] == [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]
    assert steps["Cooldown"] == asynchronous().startup_timeout_s
    assert (alarm["MetricName"], alarm["Statistic"]) == ("HasBacklogWithoutCapacity", "Maximum")
    assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["EndpointName"]
    assert (alarm["EvaluationPeriods"], alarm["Period"], alarm["Threshold"]) == (1, 60, 1)


def test_a_component_is_woken_by_the_requests_that_it_loses(render, component):
    template = render(component())
    _, alarm = _waking(template)
    assert (alarm["MetricName"], alarm["Statistic"]) == ("NoCapacityInvocationFailures", "Sum")
    assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["InferenceComponentName"]
    target = template.one(TARGET)
    assert target["ScalableDimension"] == "sagemaker:inference-component:DesiredCopyCount"
    assert target["ResourceId"] == "inference-component/RerankTinyCpu"
    (made,) = (
        name for name, one in template["Resources"].items() if one["Type"] == "AWS::SageMaker::InferenceComponent"
    )
    (registered,) = template.resources(TARGET)
    assert made in registered["DependsOn"]


def test_what_sleeps_by_the_clock_alone_is_woken_as_well(render, asynchronous):
    night = ScheduledBounds(name="night", schedule="cron(0 20 * * ? *)", min_instances=0, max_instances=4)
    _waking(render(asynchronous(min_instances=1, schedule=[night])))


@pytest.mark.parametrize("kind", ["asynchronous", "component"])
def test_what_never_sleeps_needs_no_waking(render, request, kind):
    template = render(request.getfixturevalue(kind)(min_instances=1))
    assert _of_type(template, POLICY, "StepScaling") == []


def test_provisioned_concurrency_follows_its_use(render, serverless):
    template = render(serverless())
    target, policy = template.one(TARGET), template.one(POLICY)
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredProvisionedConcurrency"
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 0.7


def test_a_fleet_that_only_grows(render, deployment, scaling):
    policy = render(deployment(scaling=scaling(scale_in=False))).one(POLICY)
    assert policy["TargetTrackingScalingPolicyConfiguration"]["DisableScaleIn"] is True


def test_bounds_move_by_the_clock(render, deployment, scaling):
    day = ScheduledBounds(
        name="day", schedule="cron(0 7 ? * MON-FRI *)", timezone="Europe/Berlin", min_instances=2, max_instances=8
    )
    night = ScheduledBounds(name="night", schedule="cron(0 20 * * ? *)", min_instances=1, max_instances=2)
    actions = render(deployment(scaling=scaling(schedule=[day, night]))).one(TARGET)["ScheduledActions"]
    assert actions == [
        {
            "ScheduledActionName": "day",
            "Schedule": "cron(0 7 ? * MON-FRI *)",
            "Timezone": "Europe/Berlin",
            "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 8},
        },
        {
            "ScheduledActionName": "night",
            "Schedule": "cron(0 20 * * ? *)",
            "Timezone": "Etc/UTC",
            "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 2},
        },
    ]


def test_instances_come_for_the_most_copies_of_the_week_and_the_stack_says_so(render, component):
    sale = ScheduledBounds(name="sale", schedule="cron(0 7 ? * FRI *)", min_instances=2, max_instances=9)
    template = render(component(schedule=[sale]))
    (variant,) = template.one("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert variant["ManagedInstanceScaling"]["MaxInstanceCount"] >= 9
    assert variant["ManagedInstanceScaling"]["MinInstanceCount"] == 0
    assert "0 to 9 copies" in template["Description"]


@pytest.mark.parametrize("kind", ["asynchronous", "component", "serverless"])
def test_registrations_can_be_left_out_and_nothing_else_changes(plan, synthesise, request, kind, tmp_path):
    """The first of the two deploys that a new instance type needs must not touch the endpoint."""
    scaled = request.getfixturevalue(kind)()
    before = synthesise(plan(scaled)).get_stack_by_name(scaled.stack).template
    without = synthesise(plan(scaled), Options(scaling=False)).get_stack_by_name(scaled.stack).template
    gone = {
        name: before["Resources"][name]["Type"] for name in before["Resources"].keys() - without["Resources"].keys()
    }
    assert TARGET in gone.values()
    assert set(gone.values()) <= {TARGET, POLICY, ALARM}
    for name, resource in without["Resources"].items():
        if resource["Type"].startswith("AWS::SageMaker::"):
            assert resource == before["Resources"][name]


def _page():
    return (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()


def test_the_page_on_scaling_names_every_metric_and_every_fewest():
    rows = {cells[0].strip("` "): cells for cells in (line.strip("|").split("|") for line in _page().splitlines())}
    for mode, kind in SCALABLE.items():
        _, _, metrics, fewest = rows[mode]
        assert set(re.findall(r"`(\w+)`", metrics)) == {metric.name for metric in kind.metrics}
        assert int(fewest) == kind.smallest


def test_the_rule_on_the_page_is_taken(plan, deployment):
    (rule,) = re.findall(r"```json\n(.*?)```", _page(), re.DOTALL)
    scaled = deployment(count=2, scaling=msgspec.json.decode(rule, type=Scaling))
    assert check_plan(plan(scaled)) == []


def _faults(plan, deployment):
    return {fault.field.removeprefix("deployments[0].scaling"): fault.message for fault in check_plan(plan(deployment))}


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        ("asynchronous", {"metric": "SageMakerVariantInvocationsPerInstance"}, ".metric"),
        ("component", {"metric": "SageMakerVariantInvocationsPerInstance"}, ".metric"),
        ("serverless", {"metric": "ApproximateBacklogSizePerInstance"}, ".metric"),
        ("serverless", {"target": 70.0}, ".target"),
        ("serverless", {"min_instances": 0}, ".min_instances"),
        ("serverless", {"max_instances": 11}, ".max_instances"),
        ("asynchronous", {"max_instances": 0}, ".max_instances"),
        ("asynchronous", {"scale_in": False}, ".scale_in"),
        ("asynchronous", {"target": 0.0}, ".target"),
        ("asynchronous", {"scale_out_cooldown_s": -1}, ".scale_out_cooldown_s"),
    ],
)
def test_what_does_not_fit_the_kind_is_refused(plan, request, kind, changes, field):
    assert field in _faults(plan, request.getfixturevalue(kind)(**changes))


@pytest.mark.parametrize("kind", ["asynchronous", "component", "serverless"])
def test_what_fits_is_taken(plan, request, kind):
    assert _faults(plan, request.getfixturevalue(kind)()) == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schedule": "0 7 * * *"}, ".schedule[0].schedule"),
        ({"timezone": "Berlin"}, ".schedule[0].timezone"),
        ({"min_instances": 0}, ".schedule[0].min_instances"),
        ({"min_instances": 9}, ".schedule[0].min_instances"),
    ],
)
def test_a_faulty_schedule_is_refused_by_field(plan, deployment, scaling, changes, field):
    sound = {"name": "day", "schedule": "cron(0 7 ? * MON-FRI *)", "min_instances": 2, "max_instances": 8}
    faults = _faults(plan, deployment(scaling=scaling(schedule=[ScheduledBounds(**(sound | changes))])))
    assert list(faults) == [field]


def test_two_bounds_of_one_name_are_refused(plan, deployment, scaling):
    day = ScheduledBounds(name="day", schedule="cron(0 7 ? * MON-FRI *)", min_instances=2, max_instances=8)
    faults = _faults(plan, deployment(scaling=scaling(schedule=[day, day])))
    assert list(faults) == [".schedule[0].name", ".schedule[1].name"]


def test_a_metric_of_another_kind_is_answered_with_those_of_this_one(plan, asynchronous):
    faults = _faults(plan, asynchronous(metric="SageMakerVariantInvocationsPerInstance"))
    assert faults[".metric"].endswith("of async AWS publishes ApproximateBacklogSizePerInstance")


def test_provisioned_concurrency_can_only_be_scaled_where_there_is_some(plan, deployment, scaling):
    bare = SERVERLESS | {"provisioned_concurrency": None}
    faults = _faults(plan, deployment(**bare, scaling=scaling(**SHARE)))
    assert "provisioned_concurrency is not" in faults[""]


def test_burstable_types_are_not_scaled(plan, deployment, scaling):
    faults = _faults(plan, deployment(instance="ml.t2.large", scaling=scaling()))
    assert "burstable" in faults[""]


def test_a_job_is_not_scaled(plan, deployment, scaling):
    faults = _faults(plan, deployment(mode="batch", instance="ml.c5.xlarge", scaling=scaling()))
    assert "from its beginning to its end" in faults[""]


def test_a_shadow_is_not_scaled(plan, deployment, scaling):
    shadow = Variant(
        name="next",
        model="jina-reranker-v1-turbo-en",
        artifact=S3Artifact(uri="s3://models/turbo/turbo.tar.gz"),
        engine="torch",
        dtype="fp32",
        instance="ml.c7i.2xlarge",
        shadow=True,
        scaling=scaling(),
        expected=Expectation(basis="assumed"),
    )
    (fault,) = check_plan(plan(deployment(variants=[shadow])))
    assert fault.field == "deployments[0].variants[0].scaling"
