"""What the resources of a template are paid."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost_model.components import MONTH_HOURS
from cost_model.templates.billing import bill_template
from cost_model.templates.charges import Charge, Span

from .templates import PRICES, SCALED, VARIANT, charges, endpoint, fixed, rate, scaled, template

GOLDEN = Path(__file__).parents[1] / "golden" / "infra"


def test_instances_are_paid_all_month():
    (line,) = fixed(endpoint())

    assert line.name == "ml.c7i.xlarge, 2 × 730 hours"
    assert line.cost == Span(*[2 * MONTH_HOURS * rate("ml.c7i.xlarge")] * 2)


def test_what_scales_costs_between_its_bounds():
    (line,) = fixed({**endpoint(), "Target": SCALED})

    hours = MONTH_HOURS * rate("ml.c7i.xlarge")
    assert line.name == "ml.c7i.xlarge, 1 to 4 × 730 hours"
    assert line.cost == Span(hours, 4 * hours)


def test_a_schedule_widens_the_bounds():
    action = {"ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 9}}
    night = {"ScalableTargetAction": {"MinCapacity": 0}}

    (line,) = fixed({**endpoint(), "Target": scaled(ScheduledActions=[action, night])})

    assert (line.least, line.most) == (0, 9 * MONTH_HOURS)


@pytest.mark.parametrize("meant", ["endpoint/Other/variant/AllTraffic", "endpoint/RerankTinyCpu/variant/other"])
def test_what_scales_another_endpoint_or_variant_is_no_bound_of_this_one(meant):
    (line,) = fixed({**endpoint(), "Target": scaled(ResourceId=meant)})

    assert line.least == line.most == 2 * MONTH_HOURS


def test_a_target_may_name_the_endpoint_by_its_name():
    (line,) = fixed({**endpoint(), "Target": scaled(ResourceId="endpoint/RerankTinyCpu/variant/AllTraffic")})

    assert line.most == 4 * MONTH_HOURS


def test_an_asynchronous_endpoint_may_cost_nothing_at_all():
    resources = endpoint(AsyncInferenceConfig={"OutputConfig": {}})

    (line,) = fixed({**resources, "Target": scaled(MinCapacity=0)})

    assert line.cost == Span(Decimal(0), 4 * MONTH_HOURS * rate("ml.c7i.xlarge"))


def test_each_variant_is_a_line_and_a_shadow_costs_as_much():
    gpu = {"VariantName": "base", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}

    lines = fixed(endpoint(VARIANT, ShadowProductionVariants=[gpu]))

    assert [line.name for line in lines] == [
        "ml.c7i.xlarge, 2 × 730 hours",
        "base (shadow): ml.g5.xlarge, 1 × 730 hours",
    ]
    assert lines[1].rate == rate("ml.g5.xlarge")


def test_volumes_are_those_of_all_instances():
    _, volumes = fixed({**endpoint({**VARIANT, "VolumeSizeInGB": 30}), "Target": SCALED})

    assert (volumes.least, volumes.most, volumes.unit) == (30, 120, "GB-month")


def test_instances_that_sagemaker_manages_have_its_bounds():
    managed = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 3}
    (line,) = fixed(endpoint({**VARIANT, "ManagedInstanceScaling": managed}))
    (open_ended,) = [
        charge
        for charge in charges(endpoint({**VARIANT, "ManagedInstanceScaling": {"Status": "ENABLED"}}))
        if charge.kind == "unpriced"
    ]

    assert (line.least, line.most) == (0, 3 * MONTH_HOURS)
    assert "has no MaxInstanceCount" in open_ended.basis


def test_serverless_is_told_by_its_rates_and_its_warm_units_are_paid():
    config = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, "ProvisionedConcurrency": 2}

    units, *by_use = charges(endpoint({"VariantName": "AllTraffic", "ServerlessConfig": config}))

    assert units.cost == Span(*[2 * MONTH_HOURS * 3600 * Decimal("0.00001")] * 2)
    assert [line.kind for line in by_use] == ["usage"] * 4
    assert [line.name for line in by_use][1:] == ["processing, 2048 MB", "Data in", "Data out"]
    assert all(line.rate and line.cost is None for line in by_use)


def test_a_type_without_a_price_there_is_unpriced_and_not_free():
    (line,) = [charge for charge in charges(endpoint({**VARIANT, "InstanceType": "ml.m7g.large"})) if not charge.by_use]

    assert (line.kind, line.cost) == ("unpriced", None)
    assert "ml.m7g.large has no hosting price" in line.basis


def test_a_configuration_from_elsewhere_is_unpriced():
    resources = endpoint()
    del resources["Config"]
    resources["Endpoint"]["Properties"]["EndpointConfigName"] = "made-by-hand"

    (line,) = charges(resources)

    assert line.kind == "unpriced"
    assert "made-by-hand is not in this template" in line.basis


def alarm(**properties: Any) -> list[Charge]:
    return charges({"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}, "Alarm")


def test_an_alarm_is_charged_for_each_of_its_metrics():
    (simple,) = alarm(MetricName="Invocations", Period=60)
    (fast,) = alarm(MetricName="Invocations", Period=10)
    stat = {"MetricStat": {"Metric": {}, "Period": 60, "Stat": "Sum"}}
    (of_two,) = alarm(Metrics=[stat, stat, {"Expression": "m1 / m2"}])

    assert [line.cost and line.cost.most for line in (simple, fast, of_two)] == [
        Decimal("0.1"),
        Decimal("0.3"),
        Decimal("0.2"),
    ]


def test_an_interface_endpoint_is_in_each_zone_and_a_gateway_is_free():
    interface = {"VpcEndpointType": "Interface", "SubnetIds": [{"Ref": "A"}, {"Ref": "B"}]}
    subnets = {name: {"Type": "AWS::EC2::Subnet"} for name in "AB"}

    def of(properties: dict[str, Any]) -> list[Charge]:
        return charges({**subnets, "Vpce": {"Type": "AWS::EC2::VPCEndpoint", "Properties": properties}}, "Vpce")

    hours, data = of(interface)
    assert (hours.least, hours.kind, data.kind) == (2 * MONTH_HOURS, "unpriced", "usage")  # no snapshot has its rate
    assert of({"VpcEndpointType": "Gateway"}) == []


def test_jobs_of_a_state_machine_are_told_by_the_hour():
    definition = json.dumps({"TransformResources": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1}})
    text = {"Fn::Join": ["", [definition[:-1], ', "Key": "', {"Fn::ImportValue": "key"}, '"}']]}

    _, jobs = charges(
        {"M": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": text}}}, "M"
    )

    assert (jobs.name, jobs.kind, jobs.rate) == ("Jobs on ml.c5.xlarge", "usage", rate("ml.c5.xlarge"))


def test_metrics_that_the_container_writes_are_told_of():
    def model(interval: str) -> list[Charge]:
        container = {"Environment": {"RERANK_EMF_INTERVAL_S": interval}}
        return charges(
            {"Model": {"Type": "AWS::SageMaker::Model", "Properties": {"PrimaryContainer": container}}}, "Model"
        )

    (metrics,) = model("60")
    assert (metrics.kind, metrics.unit) == ("usage", "metric-month")
    assert model("0") == []


def test_a_sellers_software_is_unpriced():
    container = {"ModelPackageName": "arn:aws:sagemaker:us-east-1:865070037744:model-package/jina-reranker"}
    properties = {"PrimaryContainer": container}

    (software,) = charges({"Model": {"Type": "AWS::SageMaker::Model", "Properties": properties}}, "Model")

    assert (software.name, software.kind) == ("Marketplace software", "unpriced")


def test_what_is_not_known_here_is_unpriced():
    (line,) = charges({"Db": {"Type": "AWS::RDS::DBInstance"}}, "Db")

    assert line.kind == "unpriced"
    assert "not known here" in line.basis


def test_every_type_of_ours_is_known():
    unknown = {
        f"{path.name}: {one.type}"
        for path in GOLDEN.rglob("*.json")
        for one in bill_template(template(json.loads(path.read_bytes())["Resources"], **_rest(path)), PRICES)
        for charge in one.charges
        if "not known here" in charge.basis
    }

    assert unknown == set()


def _rest(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_bytes())
    return {name: document[name] for name in ("Parameters", "Conditions", "Mappings") if name in document}
