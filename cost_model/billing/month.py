"""What earlier items of a bill leave of the month's allowances and of the cheap or dear tiers of its rates."""

from __future__ import annotations

from decimal import Decimal

from cost_model.components import Component, component
from cost_model.prices.book import PriceBook, Rate, Unknown


class Month:
    """Counts over the items of one bill, in the order of the usage file.

    With `free_tier` False no allowance is ever taken off.
    """

    def __init__(self, prices: PriceBook, *, free_tier: bool) -> None:
        self._prices = prices
        self._free_tier = free_tier
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

    def bill(self, service: str, rate: str, quantity: Decimal) -> Decimal:
        """Counts a quantity that is to be paid; the answer is what was counted of this rate before."""
        before = self._billed.get((service, rate), Decimal(0))
        self._billed[service, rate] = before + quantity
        return before

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
