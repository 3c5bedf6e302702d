"""What a resource is charged for: lines whose quantity may lie between two bounds, or follow from use alone."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

import msgspec

from cost_model.components import component
from cost_model.prices.book import Rate, Unknown

Kind = Literal["fixed", "usage", "unpriced"]


class Span(msgspec.Struct, frozen=True):
    """Dollars a month, at least and at most: apart where something scales."""

    least: Decimal = Decimal(0)
    most: Decimal = Decimal(0)

    def __add__(self, other: Span) -> Span:
        return Span(self.least + other.least, self.most + other.most)

    def __sub__(self, other: Span) -> Span:
        """By how much each bound is higher."""
        return Span(self.least - other.least, self.most - other.most)

    def __bool__(self) -> bool:
        return bool(self.least or self.most)


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a resource's bill."""

    name: str
    unit: str
    least: Decimal | None
    """Units a month; None where they follow from use, or can't be known."""
    most: Decimal | None
    rate: Decimal | None
    """Dollars a unit; None where no price is known."""
    by_use: bool = False
    basis: str
    """How the rate is known, or why the line has none."""

    @property
    def kind(self) -> Kind:
        if self.by_use:
            return "usage"
        return "unpriced" if self.cost is None else "fixed"

    @property
    def cost(self) -> Span | None:
        """None where it is unpriced or follows from use."""
        if self.rate is None or self.least is None or self.most is None:
            return None
        return Span(self.least * self.rate, self.most * self.rate)


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """A resource with its charges; without one it is free of charge, or billed with another."""

    stack: str
    id: str
    """Its logical id."""
    type: str
    charges: tuple[Charge, ...]

    @property
    def cost(self) -> Span:
        return total(self.charges)


def fixed(
    name: str, least: Decimal | Unknown, most: Decimal | Unknown, rate: Rate | Unknown, *, unit: str = ""
) -> Charge:
    """So many units a month, whatever happens; `unit` names them where the rate is unknown."""
    if isinstance(least, Unknown) or isinstance(most, Unknown):
        reason = least.reason if isinstance(least, Unknown) else most.reason if isinstance(most, Unknown) else ""
        return unpriced(name, reason)
    line = component(name, most, rate, unit=unit)
    return Charge(name=name, unit=line.unit, least=least, most=most, rate=line.rate, basis=line.basis)


def by_use(name: str, rate: Rate | Unknown, *, unit: str = "") -> Charge:
    """As many units as are used."""
    line = component(name, Decimal(0), rate, unit=unit)
    return Charge(name=name, unit=line.unit, least=None, most=None, rate=line.rate, by_use=True, basis=line.basis)


def unpriced(name: str, reason: str) -> Charge:
    return Charge(name=name, unit="", least=None, most=None, rate=None, basis=f"unpriced: {reason}")


def total(charges: Iterable[Charge]) -> Span:
    """Of what is fixed."""
    found = Span()
    for charge in charges:
        found += charge.cost or Span()
    return found
