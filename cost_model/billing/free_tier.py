"""Free tiers, taken off in the order of the usage file until they are used up."""

from __future__ import annotations

from decimal import Decimal

from cost_model.components import Component, component
from cost_model.prices.book import PriceBook, Rate, Unknown


class FreeTier:
    """What is left of each allowance. With `wanted` False nothing is ever taken off."""

    def __init__(self, prices: PriceBook, *, wanted: bool) -> None:
        self._prices = prices
        self._wanted = wanted
        self._left: dict[tuple[str, str], Decimal] = {}
        self.warnings: list[str] = []

    def take(
        self, service: str, name: str, quantity: Decimal, *, instance: str = ""
    ) -> tuple[Decimal, list[Component]]:
        """The quantity that is still to be paid, and the free line of the bill, if any."""
        if not self._wanted:
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

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
