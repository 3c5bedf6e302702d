"""Templates and intrinsic functions by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_toolkit.local_sagemaker.cloudformation.intrinsics import NO_VALUE, TemplateError, references, resolve
from rerank_toolkit.local_sagemaker.cloudformation.stacks import Desired
from rerank_toolkit.local_sagemaker.cloudformation.template import Template
from rerank_toolkit.local_sagemaker.cloudformation.values import check_rules, resolve_parameters


class Names:
    """A scope in which each name stands for itself in brackets."""

    def ref(self, name: str) -> Any:
        return NO_VALUE if name == "AWS::NoValue" else f"<{name}>"

    def attribute(self, resource: str, name: str) -> Any:
        return f"<{resource}.{name}>"

    def condition(self, name: str) -> bool:
        return name == "Yes"

    def mapping(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        return {"a": {"b": name}}

    def imported(self, export: str) -> str:
        return f"<import {export}>"

    def zones(self, region: str) -> list[str]:
        return [f"{region or 'here'}-a"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Fn::Sub": "${A} ${A.B.C} ${!A}"}, "<A> <A.B.C> ${A}"),
        ({"Fn::Sub": ["${x}${Y}", {"x": {"Ref": "Z"}}]}, "<Z><Y>"),
        ({"Fn::GetAtt": ["A", {"Ref": "B"}]}, "<A.<B>>"),
        ({"Fn::FindInMap": ["M", "a", "b"]}, "M"),
        ([1, {"Ref": "AWS::NoValue"}, 2], [1, 2]),
        ({"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
        ({"Fn::And": [{"Condition": "Yes"}, {"Fn::Not": [{"Condition": "No"}]}]}, True),
        ({"Fn::Or": [{"Condition": "No"}, {"Fn::Equals": ["1", 1]}]}, True),
        ({"Fn::Equals": [True, "true"]}, True),
        ({"Fn::Join": ["-", [True, 1]]}, "true-1"),
        ({"Fn::Sub": ["${x}", {"x": False}]}, "false"),
        ({"Fn::FindInMap": ["M", "x", "y", {"DefaultValue": {"Ref": "Z"}}]}, "<Z>"),
        ({"Fn::Join": [",", {"Fn::Split": ["-", "a-b"]}]}, "a,b"),
        ({"Ref": "A", "more": 1}, {"Ref": "A", "more": 1}),
        ({"Fn::GetAZs": ""}, ["here-a"]),
        ({"Fn::Cidr": ["10.0.0.0/24", "3", 5]}, ["10.0.0.0/27", "10.0.0.32/27", "10.0.0.64/27"]),
        ({"Fn::Cidr": [{"Fn::Select": [0, ["10.0.0.0/16"]]}, 1]}, ["10.0.0.0/24"]),
    ],
)
def test_functions_give_what_cloudformation_gives(value: Any, expected: Any) -> None:
    assert resolve(value, Names()) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"Fn::Transform": {"Name": "AWS::Include"}}, "Fn::Transform is not provided"),
        ({"Fn::Select": [9, ["a"]]}, "Fn::Select can't be applied"),
        ({"Fn::Select": [-1, ["a"]]}, "Fn::Select can't be applied"),
        ({"Fn::Cidr": ["10.0.0.0/24", 3, 7]}, "does not hold 3 subnets"),
        ({"Fn::Cidr": ["10.0.0.1/24", 3, 7]}, "Fn::Cidr can't be applied"),
        ({"Fn::Join": "a"}, "Fn::Join can't be applied"),
        ({"Fn::Not": ["text"]}, "'text' is not a condition"),
        ({"Fn::FindInMap": ["M", "x", "y"]}, "no entry 'x'"),
    ],
)
def test_a_function_at_fault_is_named(value: Any, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        resolve(value, Names())


def test_references_are_found_wherever_they_hide() -> None:
    value = {
        "a": [{"Fn::Sub": ["${A.Arn} ${b} ${!C}", {"b": {"Fn::GetAtt": "D.Arn"}}]}, {"Fn::If": ["X", {"Ref": "E"}, 1]}]
    }
    assert set(references(value)) == {"A", "D", "E"}


@given(st.permutations(range(8)), st.data())
def test_every_resource_comes_after_those_it_refers_to(order: list[int], data: st.DataObject) -> None:
    needs = {
        name: data.draw(st.sets(st.sampled_from(order[:index]), max_size=3)) if index else set()
        for index, name in enumerate(order)
    }
    document = {
        "Resources": {
            f"R{name}": {"Type": "T", "Properties": {"needs": [{"Ref": f"R{other}"} for other in needs[name]]}}
            for name in range(8)
        }
    }
    position = {name: index for index, name in enumerate(Template("", document).resources)}
    assert all(position[f"R{other}"] < position[f"R{name}"] for name in needs for other in needs[name])


def test_every_faulty_parameter_is_named_at_once() -> None:
    template = Template.parse(
        """
        {"Resources": {"A": {"Type": "T"}},
         "Parameters": {"Missing": {"Type": "String"},
                        "Choice": {"Type": "String", "AllowedValues": ["x"]},
                        "Many": {"Type": "Number"},
                        "Looked": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/no/such"}}}
        """
    )
    with pytest.raises(TemplateError) as raised:
        resolve_parameters(Desired(template, {"Choice": "y", "Many": "few", "Extra": "z"}), lambda _: None)
    for named in ("[Missing]", "'Choice'", "'Many'", "[/no/such]", "[Extra]"):
        assert named in str(raised.value)


def test_a_default_that_is_no_text_becomes_what_cloudformation_makes_of_it() -> None:
    template = Template.parse("Resources: {A: {Type: T}}\nParameters: {Verbose: {Type: String, Default: true}}")
    assert resolve_parameters(Desired(template, {}), lambda _: None) == {"Verbose": "true"}


def test_a_rule_that_does_not_hold_says_its_description() -> None:
    template = Template.parse(
        """
        Resources: {A: {Type: T}}
        Rules:
          Version:
            Assertions: [{Assert: !Not [!Contains [["1", "2"], "2"]], AssertDescription: bootstrap again}]
        """
    )
    with pytest.raises(TemplateError, match="bootstrap again"):
        check_rules(template, Names())
