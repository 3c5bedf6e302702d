"""Who is told: the topic that alarms write to, and the budget."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from infra.checks import check_plan
from rerank_toolkit.contracts.plan import Operations

GUIDE = Path(__file__).parents[2] / "docs" / "plans.md"


@pytest.fixture
def foundation(plan, deployment, synthesise):
    """Resources of the foundation's stack, by type."""

    def make(**operations):
        assembly = synthesise(plan(deployment(), operations=Operations(**operations)))
        resources = assembly.get_stack_by_name("RerankFoundation").template["Resources"]
        return lambda kind: {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}

    return make


def _faults(plan, deployment, **operations):
    return [fault.field for fault in check_plan(plan(deployment(), operations=Operations(**operations)))]


def test_the_topic_is_encrypted_and_takes_alarms_of_this_account_over_tls(foundation):
    resources = foundation()
    (topic,) = resources("AWS::SNS::Topic").values()
    assert "StorageKey" in topic["KmsMasterKeyId"]["Fn::GetAtt"][0]
    (policy,) = resources("AWS::SNS::TopicPolicy").values()
    statements = {statement["Effect"]: statement for statement in policy["PolicyDocument"]["Statement"]}
    assert statements["Deny"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statements["Allow"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statements["Allow"]["Action"] == "sns:Publish"
    assert set(statements["Allow"]["Condition"]) == {"StringEquals", "ArnLike"}


def test_the_key_lets_cloudwatch_write_to_the_topic(foundation):
    (key,) = foundation()("AWS::KMS::Key").values()
    (statement,) = [
        each for each in key["KeyPolicy"]["Statement"] if each["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]
    assert set(statement["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}


def test_each_address_is_subscribed_and_stays_so_when_another_goes(foundation):
    both = foundation(notify=["a@example.com", "b@example.com"])("AWS::SNS::Subscription")
    one = foundation(notify=["b@example.com"])("AWS::SNS::Subscription")
    assert {(each["Protocol"], each["Endpoint"]) for each in both.values()} == {
        ("email", "a@example.com"),
        ("email", "b@example.com"),
    }
    assert one.items() <= both.items()


def test_without_a_budget_in_the_plan_there_is_none(foundation):
    assert foundation(notify=["a@example.com"])("AWS::Budgets::Budget") == {}


def test_the_budget_counts_what_is_ours_in_the_region_and_writes_before_it_is_spent(foundation):
    resources = foundation(notify=["a@example.com", "b@example.com"], monthly_budget=Decimal("1200.50"))
    (found,) = resources("AWS::Budgets::Budget").values()
    budget = found["Budget"]
    assert budget["BudgetLimit"] == {"Amount": 1200.5, "Unit": "USD"}
    assert (budget["BudgetType"], budget["TimeUnit"]) == ("COST", "MONTHLY")
    assert budget["FilterExpression"] == {
        "And": [
            {"Tags": {"Key": "project", "Values": ["rerank-toolkit"]}},
            {"Dimensions": {"Key": "REGION", "Values": ["us-east-1"]}},
        ]
    }
    assert "BudgetName" not in budget
    told = [
        (each["Notification"]["NotificationType"], each["Notification"]["Threshold"], len(each["Subscribers"]))
        for each in found["NotificationsWithSubscribers"]
    ]
    assert told == [("FORECASTED", 80, 2), ("ACTUAL", 100, 2)]


@pytest.mark.parametrize(
    ("field", "operations"),
    [
        ("notify[0]", {"notify": ["nobody"]}),
        ("notify[0]", {"notify": ["a b@example.com"]}),
        ("monthly_budget", {"monthly_budget": Decimal(100)}),
        ("monthly_budget", {"monthly_budget": Decimal(0), "notify": ["a@example.com"]}),
        ("monthly_budget", {"monthly_budget": Decimal("NaN"), "notify": ["a@example.com"]}),
        ("notify", {"monthly_budget": Decimal(100), "notify": [f"a{n}@example.com" for n in range(11)]}),
        ("log_retention_days", {"log_retention_days": 31}),
        ("data_retention_days", {"data_retention_days": 0}),
        ("runbook", {"runbook": "our wiki"}),
        ("runbook", {"runbook": "https://wiki.example.com/a#b"}),
        ("runbook", {"runbook": "https://wiki.example.com/Störung"}),
        ("runbook", {"runbook": "x" * 401}),
    ],
)
def test_what_would_tell_nobody_or_be_refused_is_refused(plan, deployment, field, operations):
    assert _faults(plan, deployment, **operations) == [f"operations.{field}"]


def test_an_address_that_is_there_twice_is_refused(plan, deployment):
    twice = _faults(plan, deployment, notify=["a@example.com", "A@example.com"])
    assert twice == ["operations.notify[0]", "operations.notify[1]"]


def test_what_the_guide_shows_is_sound(plan, deployment):
    (shown,) = re.findall(r'^    "operations": (\{.*?^    \})', GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    operations = msgspec.json.decode(shown, type=Operations)
    assert check_plan(plan(deployment(), operations=operations)) == []
