"""Values that a template leaves to CloudFormation: what is worked out, what is unpriced, and what is malformed."""

from __future__ import annotations

import pytest

from cost_model.components import MONTH_HOURS
from cost_model.templates.billing import bill_template

from .templates import PRICES, VARIANT, charges, endpoint, faults, fixed, rate, scaled, template

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
