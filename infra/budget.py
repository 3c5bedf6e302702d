"""A budget for everything of ours in a region, told by mail before and when it is spent."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from constructs import Construct

from infra.tags import PROJECT, PROJECT_TAG

FORECAST_PERCENT = 80
ACTUAL_PERCENT = 100

MOST_ADDRESSES = 10
"""Of one notification, by AWS Budgets' service model."""


class Budget(Construct):
    """Counts what carries our tag. AWS counts by a tag only once it is activated as a cost allocation tag, in the
    account that pays the bill, and from then on: docs/deploy.md says how.

    It writes to the addresses themselves, not to the topic: budgets belong to no region and the topic does, and a
    budget needs no confirmation. It has no name of its own, for CloudFormation replaces it when an address changes,
    and two of one name can't stand beside each other.
    """

    def __init__(self, scope: Construct, *, monthly: Decimal, notify: Sequence[str]) -> None:
        super().__init__(scope, "Budget")
        ours = budgets.CfnBudget.ExpressionProperty(
            tags=budgets.CfnBudget.TagValuesProperty(key=PROJECT_TAG, values=[PROJECT])
        )
        here = budgets.CfnBudget.ExpressionProperty(
            dimensions=budgets.CfnBudget.ExpressionDimensionValuesProperty(
                key="REGION", values=[cdk.Stack.of(self).region]
            )
        )
        budgets.CfnBudget(
            self,
            "Monthly",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=float(monthly), unit="USD"),
                filter_expression=budgets.CfnBudget.ExpressionProperty(and_=[ours, here]),
                metrics=["UnblendedCost"],
            ),
            notifications_with_subscribers=[
                _notification("FORECASTED", FORECAST_PERCENT, notify),
                _notification("ACTUAL", ACTUAL_PERCENT, notify),
            ],
        )


def _notification(
    kind: str, percent: int, notify: Sequence[str]
) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
    return budgets.CfnBudget.NotificationWithSubscribersProperty(
        notification=budgets.CfnBudget.NotificationProperty(
            notification_type=kind,
            comparison_operator="GREATER_THAN",
            threshold=percent,
            threshold_type="PERCENTAGE",
        ),
        subscribers=[
            budgets.CfnBudget.SubscriberProperty(subscription_type="EMAIL", address=address) for address in notify
        ],
    )
