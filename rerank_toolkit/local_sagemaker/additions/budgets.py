"""Budgets: changing one."""

from __future__ import annotations

import json

from moto.budgets.responses import BudgetsResponse
from moto.core.utils import unix_time

from rerank_toolkit.local_sagemaker.additions.actions import add_actions


def update_budget(self: BudgetsResponse) -> str:
    account, new = self._get_param("AccountId"), self._get_param("NewBudget")
    self.backend.describe_budget(account, new["BudgetName"])  # raises NotFoundException
    budget = self.backend.budgets[account][new["BudgetName"]]
    budget.budget = {"TimePeriod": budget.budget["TimePeriod"], **new, "LastUpdatedTime": unix_time()}
    return json.dumps({})


def install() -> None:
    add_actions(BudgetsResponse, update_budget)
