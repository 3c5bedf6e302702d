"""What a change of templates does to the bill."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.components import MONTH_HOURS
from cost_model.prices.book import Rate, shipped_prices
from cost_model.templates.assembly import read_templates
from cost_model.templates.billing import bill_template
from cost_model.templates.charges import Charge, Span
from cost_model.templates.difference import Difference, compare_templates
from cost_model.templates.template import Template, convert_template
from rerank_toolkit.contracts.errors import InvalidInput

PRICES = shipped_prices()
REGION = "us-east-1"
GOLDEN = Path(__file__).parents[1] / "golden" / "infra"

VARIANT = {"VariantName": "AllTraffic", "InstanceType": "ml.c7i.xlarge", "InitialInstanceCount": 2}
ENDPOINT_NAME = {"Fn::GetAtt": ["Endpoint", "EndpointName"]}
SCALED = {
    "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
    "Properties": {
        "ResourceId": {"Fn::Join": ["/", ["endpoint", ENDPOINT_NAME, "variant", "AllTraffic"]]},
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "MinCapacity": 1,
        "MaxCapacity": 4,
    },
}


def rate(instance: str, region: str = REGION) -> Decimal:
    found = PRICES.hosting(region, instance)
    assert isinstance(found, Rate)
    return found.usd


def endpoint(*variants: Mapping[str, Any], **config: Any) -> dict[str, Any]:
    return {
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": list(variants or [VARIANT]), **config},
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {
                "EndpointName": "RerankTinyCpu",
                "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
            },
        },
    }


def scaled(**properties: Any) -> dict[str, Any]:
    return {**SCALED, "Properties": {**SCALED["Properties"], **properties}}


def template(resources: Mapping[str, Any], *, stack: str = "Stack", region: str = REGION, **more: Any) -> Template:
    body = convert_template({"Resources": resources, **more}, name=stack)
    return Template(stack=stack, region=region, source=stack, body=body)


def charges(resources: Mapping[str, Any], of: str = "Endpoint", **more: Any) -> list[Charge]:
    (found,) = [one for one in bill_template(template(resources, **more), PRICES) if one.id == of]
    return list(found.charges)


def fixed(resources: Mapping[str, Any], of: str = "Endpoint", **more: Any) -> list[Charge]:
    return [charge for charge in charges(resources, of, **more) if charge.kind == "fixed"]


def faults(resources: Mapping[str, Any], **more: Any) -> list[str]:
    with pytest.raises(InvalidInput) as raised:
        bill_template(template(resources, **more), PRICES)
    return [str(fault) for fault in raised.value.faults]


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


# Intrinsics.

WITH = {
    "Parameters": {
        "Count": {"Type": "Number", "Default": 3},
        "Open": {"Type": "String"},
        "FromSsm": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/some/parameter"},
    },
    "Mappings": {"ByRegion": {"us-east-1": {"type": "ml.c5.xlarge"}}},
    "Conditions": {
        "Here": {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]},
        "Elsewhere": {"Fn::Not": [{"Condition": "Here"}]},
        "Mine": {"Fn::Equals": [{"Ref": "AWS::AccountId"}, "123456789012"]},
        "Never": {"Fn::And": [{"Condition": "Mine"}, {"Condition": "Elsewhere"}]},
        "Always": {"Fn::Or": [{"Condition": "Mine"}, {"Condition": "Here"}]},
    },
}


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ({"Ref": "Count"}, 3),
        ("4", 4),
        ({"Fn::If": ["Here", 5, 6]}, 5),
        ({"Fn::If": ["Never", 5, 6]}, 6),
        ({"Fn::If": ["Always", 5, 6]}, 5),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "7,8"]}]}, 8),
        ({"Fn::Sub": "${Count}"}, 3),
        ({"Fn::Sub": ["${Mine}2", {"Mine": 1}]}, 12),
    ],
)
def test_counts_are_worked_out(count, expected):
    (line,) = fixed(endpoint({**VARIANT, "InitialInstanceCount": count}), **WITH)

    assert line.least == expected * MONTH_HOURS


def test_a_type_may_come_from_a_mapping():
    found = {"Fn::FindInMap": ["ByRegion", {"Ref": "AWS::Region"}, "type"]}

    (line,) = fixed(endpoint({**VARIANT, "InstanceType": found}), **WITH)

    assert line.rate == rate("ml.c5.xlarge")


@pytest.mark.parametrize(
    ("count", "why"),
    [
        ({"Ref": "Open"}, "the parameter Open has no default"),
        ({"Ref": "FromSsm"}, "the parameter FromSsm is read from SSM"),
        ({"Fn::If": ["Mine", 1, 2]}, "the condition Mine is known to CloudFormation alone"),
        ({"Fn::Transform": {"Name": "Count"}}, "Fn::Transform is known to CloudFormation alone"),
        ({"Fn::ImportValue": "count"}, "${import count}, which CloudFormation alone knows"),
        ({"Fn::GetAtt": ["Config", "Count"]}, "CloudFormation alone knows"),
    ],
)
def test_what_only_cloudformation_knows_is_unpriced_with_its_reason(count, why):
    (line,) = [one for one in charges(endpoint({**VARIANT, "InitialInstanceCount": count}), **WITH) if not one.by_use]

    assert line.kind == "unpriced"
    assert why in line.basis


def test_what_has_no_value_is_as_if_it_were_not_there():
    nothing = {"Ref": "AWS::NoValue"}

    (line,) = fixed(endpoint({**VARIANT, "VolumeSizeInGB": nothing}))

    assert line.unit == "hour"


def test_resources_whose_condition_does_not_hold_are_not_there():
    resources = {"Key": {"Type": "AWS::KMS::Key", "Condition": "Elsewhere"}, "Role": {"Type": "AWS::IAM::Role"}}

    assert [one.id for one in bill_template(template(resources, **WITH), PRICES)] == ["Role"]


# Faults.


def test_all_that_is_malformed_is_told_at_once():
    resources = {
        **endpoint({"InstanceType": ["ml.c7i.xlarge"], "InitialInstanceCount": 1.5}, {"Fn::If": ["None", 1, 2]}),
        "Target": scaled(MinCapacity={"Ref": "Nobody"}, ScheduledActions="at night"),
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Period": {"Fn::Join": ["only a delimiter"]}}},
    }

    told = faults(resources)

    for part in (
        "ProductionVariants[1].Fn::If: is 'None', which is no condition",
        "Target.Properties.MinCapacity.Ref: is 'Nobody', which is neither a parameter nor a resource",
        "Target.Properties.ScheduledActions: is 'at night'; expected a list of objects",
        "Alarm.Properties.Period.Fn::Join: expected a delimiter and a list",
    ):
        assert any(part in line for line in told), (part, told)


def test_a_condition_that_refers_to_itself_ends():
    conditions = {"One": {"Fn::Not": [{"Condition": "Other"}]}, "Other": {"Fn::Not": [{"Condition": "One"}]}}

    (told,) = set(faults({"Key": {"Type": "AWS::KMS::Key", "Condition": "One"}}, Conditions=conditions))

    assert "refers to itself" in told


def test_an_unknown_region_is_a_fault_and_no_list_of_unknown_prices():
    assert any("prices are known in" in told for told in faults(endpoint(), region="mars-north-1"))


# Differences.


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    return compare_templates([template(old)], [template(new)], PRICES)


def test_a_larger_type_is_a_change_of_one_line():
    difference = compare(endpoint(), endpoint({**VARIANT, "InstanceType": "ml.c7i.2xlarge"}))

    changed = [line for one in difference.resources for line in one.lines if line.sign != "="]
    assert [line.name for line in changed] == ["ml.c7i.xlarge, 2 × 730 hours → ml.c7i.2xlarge, 2 × 730 hours"]
    more = 2 * MONTH_HOURS * (rate("ml.c7i.2xlarge") - rate("ml.c7i.xlarge"))
    assert difference.change == Span(more, more)


def test_what_comes_and_what_goes_are_told_apart():
    key = {"Key": {"Type": "AWS::KMS::Key"}}

    comes, goes = compare({}, {**endpoint(), **key}), compare({**endpoint(), **key}, endpoint())

    assert {one.sign for one in comes.resources} == {"+"}
    assert {one.id: one.sign for one in goes.resources} == {"Config": "=", "Endpoint": "=", "Key": "-"}
    assert goes.before.unpriced == ("Stack/Key: KMS key",)
    assert goes.after.unpriced == ()


COUNTS = st.integers(min_value=0, max_value=100)


@given(counts=st.lists(COUNTS, min_size=2, max_size=2), bounds=st.lists(COUNTS, min_size=2, max_size=2))
def test_back_and_forth_changes_nothing(counts, bounds):
    one, other = (endpoint({**VARIANT, "InitialInstanceCount": count}) for count in counts)
    low, high = sorted(bounds)
    other = {**other, "Target": scaled(MinCapacity=low, MaxCapacity=high)}

    there, back = compare(one, other).change, compare(other, one).change

    assert there + back == Span()
    assert not compare(other, other).change


@given(one=st.lists(COUNTS, min_size=2, max_size=2), more=COUNTS)
def test_more_instances_never_cost_less(one, more):
    low, high = sorted(one)
    bounds = {"MinCapacity": low, "MaxCapacity": high}
    wider = {"MinCapacity": low + more, "MaxCapacity": high + more}

    change = compare({**endpoint(), "Target": scaled(**bounds)}, {**endpoint(), "Target": scaled(**wider)}).change

    assert change.least >= 0
    assert change.most >= 0


# Files.


def write(path: Path, resources: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"Resources": resources}))
    return path


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    """As `cdk synth` leaves it, with a stack in a nested one."""
    stack = {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/eu-west-1"}
    folder = tmp_path / "cdk.out"
    write(folder / "Cpu.template.json", endpoint())
    write(folder / "assembly-Stage" / "Inner.template.json", {"Key": {"Type": "AWS::KMS::Key"}})
    manifest = {
        "version": "48.0.0",
        "artifacts": {
            "Cpu.assets": {"type": "cdk:asset-manifest", "properties": {"file": "Cpu.assets.json"}},
            "Cpu": {**stack, "properties": {"templateFile": "Cpu.template.json", "stackName": "RerankTinyCpu"}},
            "assembly-Stage": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "assembly-Stage"}},
        },
    }
    nested = {
        "version": "48.0.0",
        "artifacts": {"Inner": {**stack, "properties": {"templateFile": "Inner.template.json"}}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "assembly-Stage" / "manifest.json").write_text(json.dumps(nested))
    return folder


def test_an_assembly_tells_its_stacks_and_their_regions(assembly):
    read = [(one.stack, one.region) for one in read_templates(assembly)]

    assert read == [("RerankTinyCpu", "eu-west-1"), ("Inner", "eu-west-1")]


def test_a_file_of_an_assembly_is_known_by_it(assembly):
    (read,) = read_templates(assembly / "Cpu.template.json")

    assert (read.stack, read.region) == ("RerankTinyCpu", "eu-west-1")


def test_files_without_a_manifest_need_a_region(tmp_path):
    write(tmp_path / "One.template.json", endpoint())
    (tmp_path / "Two.template.json").write_text("Resources: {}")

    with pytest.raises(InvalidInput) as raised:
        read_templates(tmp_path)
    assert [fault.type for fault in raised.value.faults] == ["no_region", "no_region"]
    with pytest.raises(InvalidInput, match="is not JSON"):
        read_templates(tmp_path, region=REGION)


# The command.


def rerank(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.cli", "cost", "diff", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", "RERANK_PRICES": "/nowhere"},
    )


@pytest.fixture
def old(tmp_path: Path) -> str:
    logs = {"Logs": {"Type": "AWS::Logs::LogGroup"}, "Key": {"Type": "AWS::KMS::Key"}}
    gone = {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Period": 60}}}
    write(tmp_path / "old" / "Foundation.template.json", {"Topic": {"Type": "AWS::SNS::Topic"}})
    return str(write(tmp_path / "old" / "Cpu.template.json", {**endpoint(), **logs, **gone}).parent)


@pytest.fixture
def new(tmp_path: Path) -> str:
    logs = {"Logs": {"Type": "AWS::Logs::LogGroup"}, "Key": {"Type": "AWS::KMS::Key"}}
    larger = endpoint({**VARIANT, "InstanceType": "ml.c7i.2xlarge"})
    write(tmp_path / "new" / "Foundation.template.json", {"Topic": {"Type": "AWS::SNS::Topic"}})
    return str(write(tmp_path / "new" / "Cpu.template.json", {**larger, **logs, "Target": SCALED}).parent)


def without_age(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "days old" not in line)


@pytest.mark.parametrize("format", ["markdown", "table", "csv"])
def test_it_is_told_as_it_is_asked_for(old, new, format, snapshot):
    done = rerank(old, new, "--region", REGION, "--format", format)

    assert (done.returncode, done.stderr) == (0, "")
    assert without_age(done.stdout) == snapshot


def test_in_json_every_sum_is_that_of_its_lines(old, new):
    document = json.loads(rerank(old, new, "--region", REGION, "--json").stdout)

    for side in ("before", "after"):
        costs = [
            line[side]["cost"]
            for one in document["resources"]
            for line in one["lines"]
            if line[side] is not None and line[side]["kind"] == "fixed"
        ]
        for bound in ("least", "most"):
            total = Decimal(document[side]["monthly_cost"][bound])
            assert total == sum(Decimal(cost[bound]) for cost in costs)
            assert total == sum(Decimal(one[side]["monthly_cost"][bound]) for one in document["stacks"])
    assert document["prices"]["as_of"] == "2026-09-22"
    assert document["after"]["unpriced"] == ["Cpu/Key: KMS key"]


def test_two_files_are_one_stack_whatever_they_are_called(tmp_path, old, new):
    done = rerank(f"{old}/Cpu.template.json", f"{new}/Cpu.template.json", "--region", REGION, "--json")
    renamed = write(tmp_path / "before.json", endpoint())
    other = rerank(str(renamed), f"{new}/Cpu.template.json", "--region", REGION, "--json")

    for document in (json.loads(done.stdout), json.loads(other.stdout)):
        assert [one["stack"] for one in document["stacks"]] == ["Cpu"]


def test_the_faults_of_both_sides_end_with_2(tmp_path, new):
    (tmp_path / "broken").mkdir()
    write(tmp_path / "broken" / "A.template.json", {"Key": {}})
    write(tmp_path / "broken" / "B.template.json", {"Key": {"Type": 7}})

    done = rerank(str(tmp_path / "broken"), str(tmp_path / "none.json"), "--region", REGION)

    assert (done.returncode, done.stdout) == (2, "")
    for part in ("A.template.json: Resources.Key.Type: is missing", "B.template.json: Resources.Key.Type: is 7"):
        assert part in done.stderr
    assert "none.json: can't be read: No such file or directory" in done.stderr


@pytest.mark.parametrize("words", [(), ("NEW", "--deployed", "Stack")])
def test_it_needs_a_second_side_and_only_one(old, words):
    done = rerank(old, *words)

    assert done.returncode == 2
    assert "NEW: is" in done.stderr
