"""What replaces a resource and what changes it in place, against CloudFormation's own schemas."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from rerank_toolkit.local_sagemaker.cloudformation.resources import TYPES

WITHOUT_SCHEMA = {"AWS::CDK::Metadata"}
REPLACED_FOR_A_DESCRIPTION = {"AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"}
"""They have no identity of their own here, by which a description could be changed."""


@cache
def names() -> dict[str, str]:
    found: dict[str, str] = json.loads((files("cfnlint.data.schemas") / "providers" / "us-east-1.json").read_text())
    return found


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (files("cfnlint.data.schemas") / "resources" / f"{names()[name]}.json").read_text()
    )
    return document


def paths(document: dict[str, Any], *keys: str) -> frozenset[str]:
    """Properties that the schema lists under the keys, without those within another that is listed itself."""
    found = {path.removeprefix("/properties/") for key in keys for path in document.get(key, ())}
    return frozenset(path for path in found if "/" not in path or path.partition("/")[0] not in found)


@pytest.mark.parametrize("name", sorted(set(TYPES) - WITHOUT_SCHEMA))
def test_a_resource_is_replaced_for_the_properties_for_which_cloudformation_replaces_it(name: str) -> None:
    document, kind = schema(name), TYPES[name]
    create_only = paths(document, "createOnlyProperties", "conditionalCreateOnlyProperties")
    if kind.update is not None:
        assert kind.immutable == create_only
        return
    changeable = set(document["properties"]) - create_only - paths(document, "readOnlyProperties")
    assert changeable == ({"Description"} if name in REPLACED_FOR_A_DESCRIPTION else set())


def test_a_property_within_another_replaces_by_itself() -> None:
    budget = TYPES["AWS::Budgets::Budget"]
    before = {"Budget": {"BudgetName": "a", "BudgetType": "COST"}}
    assert budget.replaces(before, {"Budget": {"BudgetName": "b", "BudgetType": "COST"}})
    assert not budget.replaces(before, {"Budget": {"BudgetName": "a", "BudgetType": "USAGE"}})
