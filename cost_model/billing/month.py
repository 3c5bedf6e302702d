"""What holds over a whole bill: a Savings Plan, and what earlier items leave of the month's allowances and tiers."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from cost_model.billing.agreements import discount_line, plan_rate_line
from cost_model.components import Component, component
from cost_model.prices.book import PriceBook, Rate, Unknown
from rerank_toolkit.contracts.usage import Covered, SavingsPlan


class Month:
    """Counts over the items of one bill, in the order of the usage file.

    With `free_tier` False no allowance is ever taken off, without a `savings_plan` no discount.
    """

    def __init__(self, prices: PriceBook, *, free_tier: bool, savings_plan: SavingsPlan | None = None) -> None:
        self._prices = prices
        self._free_tier = free_tier
        self._plan = savings_plan
        self._left: dict[tuple[str, str], Decimal] = {}
        self._billed: dict[tuple[str, str], Decimal] = {}
        self.warnings: list[str] = []

    def take_free(
        self, service: str, name: str, quantity: Decimal, *, instance: str = ""
    ) -> tuple[Decimal, list[Component]]:
        """The quantity that is still to be paid, and the free line of the bill, if any."""
        if not self._free_tier:
            return quantity, []
        allowance = self._prices.allowance(service, name)
        if isinstance(allowance, Unknown):
            self._warn(f"{allowance.reason}: nothing was taken off")
            return quantity, []
        if allowance.instances and instance not in allowance.instances.split():
            return quantity, []
        left = self._left.get((service, name), allowance.quantity)
        free = min(left, quantity)
        self._left[service, name] = left - free
        if not free:
            return quantity, []
        rate = Rate(
            unit=allowance.unit,
            usd=Decimal(0),
            basis="published",
            detail=f"{allowance.quantity:,} a {allowance.per}; {allowance.source}, {allowance.as_of}",
        )
        return quantity - free, [component(f"Free tier, {name}", free, rate)]

    def discount(self, kind: Covered, region: str, of: str, line: Component) -> list[Component]:
        """What the Savings Plan takes off the line of an instance type or serverless memory size, if it covers it."""
        plan = self._plan
        if plan is None or kind not in plan.covers or not line.quantity:
            return []
        if plan.discount is not None:
            off = discount_line([line], plan.discount)
        else:
            off = self._by_rate(plan, kind, region, of, line)
        return [off] if off else []

    def _by_rate(self, plan: SavingsPlan, kind: Covered, region: str, of: str, line: Component) -> Component | None:
        if plan.term_years is None or plan.payment is None:
            raise TypeError("a Savings Plan has neither a discount nor a term. This is a bug.")
        use: Literal["hosting", "async", "batch", "serverless"] = "hosting" if kind == "realtime" else kind
        rate = self._prices.savings_plan(region, use, of, term_years=plan.term_years, payment=plan.payment)
        if isinstance(rate, Unknown):
            self._warn(f"{rate.reason}: on demand")
            return None
        years = "1 year" if plan.term_years == 1 else f"{plan.term_years} years"
        return plan_rate_line(line, rate, plan=f"{years}, {plan.payment.replace('-', ' ')}")

    def bill(self, service: str, rate: str, quantity: Decimal) -> Decimal:
        """Counts a quantity that is to be paid; the answer is what was counted of this rate before."""
        before = self._billed.get((service, rate), Decimal(0))
        self._billed[service, rate] = before + quantity
        return before

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
