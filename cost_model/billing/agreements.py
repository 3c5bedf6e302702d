"""What is agreed beside the list price: a Savings Plan's discount, and a Marketplace seller's software rate."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from cost_model.components import Component
from cost_model.prices.book import PriceBook, Rate
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.usage import MOST_DISCOUNT, SavingsPlan


def discount_line(covered: Iterable[Component], discount: Decimal) -> Component | None:
    """What a Savings Plan takes off the lines it covers, as a line of its own: dollars times a negative share.

    `discount` is the user's own, above 0 and up to MOST_DISCOUNT; raises ValueError beyond. Lines without a known
    price can't be discounted; None where nothing is taken off.
    """
    if not 0 < discount <= MOST_DISCOUNT:
        raise ValueError(f"discount is {discount}; expected a share above 0 and up to {MOST_DISCOUNT}")
    dollars = sum((line.cost for line in covered if line.cost is not None), Decimal(0))
    if not dollars:
        return None
    return Component(
        name=f"Savings Plan, {_percent(discount)} off",
        unit="dollar covered",
        quantity=dollars,
        rate=-discount,
        cost=-discount * dollars,
        basis="yours: the discount is what you stated, for use that the commitment covers",
    )


def plan_rate_line(covered: Component, rate: Rate, *, plan: str) -> Component | None:
    """The same by a published Savings Plan rate: the units of one line times what each costs less.

    `plan` names the plan. None where nothing is taken off.
    """
    if covered.rate is None or not covered.quantity:
        return None
    less = rate.usd - covered.rate
    instead = f"{rate.usd:f} instead of {covered.rate:f}"
    return Component(
        name=f"Savings Plan, {plan}",
        unit=covered.unit,
        quantity=covered.quantity,
        rate=less,
        cost=less * covered.quantity,
        basis=f"{rate.basis}: {instead} by {rate.detail}; for use that the commitment covers",
    )


def software_line(instance_hours: Decimal, usd_per_hour: Decimal, label: str) -> Component | None:
    """What the seller of a Marketplace model asks for the instances' hours; `label` names the instance type.

    None where nothing is asked or used. A Savings Plan never covers it.
    """
    if not usd_per_hour or not instance_hours:
        return None
    return Component(
        name=f"Marketplace software, {label}",
        unit="hour",
        quantity=instance_hours,
        rate=usd_per_hour,
        cost=instance_hours * usd_per_hour,
        basis="yours: the seller's rate is what you stated",
    )


def plan_faults(plan: SavingsPlan | None, region: str, prices: PriceBook) -> list[Fault]:
    """A plan by its term needs rates, which none ship of; without them the bill would be that of no plan."""
    if plan is None or plan.discount is not None or region in prices.savings_plan_regions:
        return []
    fetch = f"`rerank cost prices refresh --savings-plans --region {region}`"
    found = f"no rates are known in {region}; fetch them with {fetch}, or state your own discount"
    return [Fault("savings_plan.term_years", found, "unknown_rate")]


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f} %"
