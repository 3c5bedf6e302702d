"""Budgets: kept, but nothing is spent on one machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import Made, Request, ResourceType, absent_is_fine


def _create_budget(request: Request) -> Made:
    name = request.properties["Budget"].get("BudgetName") or request.name(100)
    parameters = {**_budget(request, name), **request.pick("NotificationsWithSubscribers")}
    request.call("budgets", "create_budget", parameters)
    return Made(name)


def _update_budget(request: Request) -> Mapping[str, Any]:
    budget = _budget(request, request.physical_id)
    request.call("budgets", "update_budget", {"AccountId": request.account, "NewBudget": budget["Budget"]})
    return {}


def _budget(request: Request, name: str) -> dict[str, Any]:
    budget = {**request.properties["Budget"], "BudgetName": name}
    for prop in ("CostFilters", "PlannedBudgetLimits"):  # a template may give them as JSON's text
        if isinstance(budget.get(prop), str):
            budget[prop] = json.loads(budget[prop])
    return {"AccountId": request.account, "Budget": budget}


def _delete_budget(request: Request) -> None:
    request.call("budgets", "delete_budget", {"AccountId": request.account, "BudgetName": request.physical_id})


TYPES = {
    "AWS::Budgets::Budget": ResourceType(
        create=_create_budget,
        update=_update_budget,
        delete=absent_is_fine(_delete_budget, "NotFoundException"),
        immutable=frozenset({"Budget/BudgetName", "NotificationsWithSubscribers"}),
    )
}
