"""A bill is a list of lines; a total is their sum and nothing else.

Quantities, rates and costs are exact Decimals; only what is printed for people is rounded, to the cent.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal, localcontext

import msgspec

from cost_model.prices.book import Rate, Unknown
from rerank_toolkit.contracts.plan import CostLine

MONTH_HOURS = 730
"""A month, in hours: 8,760 hours of a year over 12."""

SHORTEST_HOURS = Decimal("0.0166666667")
"""One minute, in hours: AWS bills SageMaker's instances and Fargate's Linux tasks by the second from there on, as
their pricing pages say."""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a bill. Without a known rate, `rate` and `cost` are None and `basis` says why."""

    name: str
    unit: str
    quantity: Decimal
    rate: Decimal | None
    cost: Decimal | None
    basis: str

    def as_cost_line(self) -> CostLine | None:
        """The line as a plan carries it; None where it is unpriced."""
        if self.rate is None or self.cost is None:
            return None
        return CostLine(
            name=self.name,
            unit=self.unit,
            quantity=self.quantity,
            rate=self.rate,
            cost=Decimal(plain(self.cost)),
            basis=self.basis,
        )


def component(name: str, quantity: Decimal, rate: Rate | Unknown, *, unit: str = "") -> Component:
    """The line of `quantity` units at `rate`; `unit` names it where the rate is unknown."""
    if isinstance(rate, Unknown):
        return Component(
            name=name, unit=unit, quantity=quantity, rate=None, cost=None, basis=f"unpriced: {rate.reason}"
        )
    basis = f"{rate.basis}: {rate.detail}"
    if rate.suspect:
        basis += f"; suspect: {rate.suspect}"
    return Component(name=name, unit=rate.unit, quantity=quantity, rate=rate.usd, cost=quantity * rate.usd, basis=basis)


def total(components: Iterable[Component]) -> Decimal:
    """The sum of what is priced; where `is_complete` is False, a lower bound."""
    return sum((line.cost for line in components if line.cost is not None), Decimal(0))


def is_complete(components: Iterable[Component]) -> bool:
    """Whether every line that was used has a price."""
    return all(line.cost is not None or line.quantity == 0 for line in components)


def plain(value: Decimal) -> str:
    """All digits that count, without an exponent, and never fewer than two after the point."""
    text = format(value.normalize(), "f") if value else "0"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"


def cents(value: Decimal, *, complete: bool = True) -> str:
    """For a table: dollars to the cent, half up; what is above zero and below half a cent keeps two digits.

    A sum that isn't `complete` is a lower bound, and says so.
    """
    bound = "" if complete else "≥"
    if value < 0:
        return f"{bound}-{cents(-value)}"
    if 0 < value < Decimal("0.005"):
        return bound + (f"{value:.2g}" if value >= Decimal("0.0001") else f"{value:.1e}")
    with localcontext(rounding=ROUND_HALF_UP):
        return f"{bound}{value:,.2f}"


def dollars(value: Decimal, *, complete: bool = True) -> str:
    """The same in a sentence."""
    return f"{'' if complete else 'at least '}${cents(value)}"
