"""The bill of what an option uses: the lines that `rerank cost estimate` makes of the same items."""

from __future__ import annotations

from collections.abc import Sequence

from cost_model.billing.estimate import BILLERS
from cost_model.billing.month import Month
from cost_model.components import Component
from cost_model.prices.book import PriceBook
from cost_model.workload import Workload
from rerank_toolkit.contracts import usage


class Biller:
    """Prices many uses in one region, each as a month of its own."""

    def __init__(self, prices: PriceBook, region: str, workload: Workload) -> None:
        self.region = region
        self._prices = prices
        self._workload = workload
        self._known: dict[usage.Item, list[Component]] = {}

    def bill(self, items: Sequence[usage.Item]) -> list[Component]:
        """The lines of the items that are used; what is used by every option alike is priced once."""
        month = Month(self._prices, free_tier=self._workload.free_tier, savings_plan=self._workload.savings_plan)
        lines: list[Component] = []
        for item in items:
            if not isinstance(item, usage.Data):
                lines += self._lines(item, month)
                continue
            if item not in self._known:
                self._known[item] = self._lines(item, month)
            lines += self._known[item]
        return lines

    def _lines(self, item: usage.Item, month: Month) -> list[Component]:
        return [line for line in BILLERS[type(item)](item, self.region, self._prices, month) if line.quantity]
