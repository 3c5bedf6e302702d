"""The price snapshot, and what a refresh changes of it, as rows and as JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cost_model.prices.age import age_days, age_warning
from cost_model.prices.book import EVERYWHERE, PriceBook, Rate, Tier, Unknown
from cost_model.prices.refresh import RegionChange
from cost_model.prices.tables import SHIPPED
from cost_model.report.estimate import plain_quantity, prices_document
from rerank_toolkit import __version__
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.console import Column

Part = Literal["hosting", "serverless", "provisioned-concurrency", "storage", "data", "savings-plan", "other"]

COLUMNS = (
    Column("Region"),
    Column("What"),
    Column("USD", "right"),
    Column("a"),
    Column("Basis"),
    Column("Note"),
)

CHANGE_COLUMNS = (
    Column("Region"),
    Column("Was of"),
    Column("Is of"),
    Column("Prices", "right"),
    Column("New", "right"),
    Column("Gone", "right"),
    Column("Changed", "right"),
    Column("Most"),
    Column("Left out", "right"),
    Column("Plan rates", "right"),
)


class Shown(NamedTuple):
    region: str
    part: Part
    name: str
    rate: Rate | Unknown


def shown_rates(
    prices: PriceBook, regions: Sequence[str], *, instances: str = "*", parts: Collection[Part] = ()
) -> list[Shown]:
    """Every rate of the regions; only of instance types that match the glob, if it isn't "*", and only of `parts`.

    What is the same in every region comes once, at the end.
    """
    rows = [row for region in regions for row in _of_region(prices, region)] + [*_other(prices, EVERYWHERE)]
    wanted = set(parts) or ({"hosting", "savings-plan"} if instances != "*" else None)
    types = {name for name in load_instances() if fnmatchcase(name, instances)}
    return [
        row
        for row in rows
        if (wanted is None or row.part in wanted)
        and (row.part not in ("hosting", "savings-plan") or instances == "*" or types & set(row.name.split()))
    ]


def price_rows(shown: Sequence[Shown]) -> list[tuple[str, ...]]:
    """Rows under COLUMNS."""
    return [(row.region, *_row(row.name, row.rate)) for row in shown]


def price_document(prices: PriceBook, regions: Sequence[str], shown: Sequence[Shown]) -> dict[str, Any]:
    """The same rates as JSON, in decimal strings; None where a price is unknown."""
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "currency": prices.header.currency,
        "snapshot": snapshot_name(prices),
        "prices": prices_document(prices, *regions),
        "regions": [
            {
                "region": region,
                "as_of": prices.origin(region).as_of.isoformat(),
                "source": prices.origin(region).source,
                "age_days": age_days(prices, region),
                "warning": age_warning(prices, [region]),
            }
            for region in regions
        ],
        "rates": [{"region": row.region, "component": row.part, **_rate_document(row.name, row.rate)} for row in shown],
    }


def snapshot_name(prices: PriceBook) -> str:
    return "shipped" if prices.path == SHIPPED else str(prices.path)


def change_rows(changes: Sequence[RegionChange]) -> list[tuple[str, ...]]:
    """Rows under CHANGE_COLUMNS."""
    return [
        (
            change.region,
            change.was.as_of.isoformat() if change.was else "unknown",
            change.now.as_of.isoformat(),
            str(change.prices),
            str(change.new),
            str(change.gone),
            str(change.changed),
            "" if change.steepest is None else f"{change.steepest:+.1%} {change.steepest_of}",
            str(len(change.left_out)),
            str(change.plan_rates),
        )
        for change in changes
    ]


def change_document(folder: Path, changes: Sequence[RegionChange]) -> dict[str, Any]:
    """Changes of a price as shares of the old one, in decimal strings."""
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "snapshot": str(folder),
        "regions": [
            {
                "region": change.region,
                "was": change.was,
                "now": change.now,
                "prices": change.prices,
                "new": change.new,
                "gone": change.gone,
                "changed": change.changed,
                "largest_change": None
                if change.steepest is None
                else {"of": change.steepest_of, "share": f"{change.steepest:.4f}"},
                "left_out": change.left_out,
                "savings_plan_rates": change.plan_rates,
            }
            for change in changes
        ],
    }


def _of_region(prices: PriceBook, region: str) -> Iterator[Shown]:
    for name in load_instances():
        yield Shown(region, "hosting", name, prices.hosting(region, name))
    sizes = load_limits().serverless.memory_mb
    for size in sizes:
        yield Shown(region, "serverless", f"serverless {size} MB", prices.serverless(region, size))
    for part in ("usage", "duration"):
        for size in sizes:
            rate = prices.provisioned_concurrency(region, part, size)
            yield Shown(region, "provisioned-concurrency", f"provisioned-concurrency-{part} {size} MB", rate)
    for name in ("data-in", "data-out"):
        yield Shown(region, "data", name, prices.rate(region, "sagemaker", name))
    yield Shown(region, "storage", "endpoint-storage", prices.rate(region, "sagemaker", "endpoint-storage"))
    for plan in prices.table("savings_plans.csv"):
        if plan["region"] == region:
            name = f"{plan['kind']} {plan['of']} {plan['term_years']}-year {plan['payment']}"
            detail = f"{plan['source']}, {plan['as_of']}"
            rate = Rate(unit=plan["unit"], usd=Decimal(plan["usd"]), basis="published", detail=detail)
            yield Shown(region, "savings-plan", name, rate)
    yield from _other(prices, region)


def _other(prices: PriceBook, place: str) -> Iterator[Shown]:
    """The rates of other services that are stated for this place itself."""
    named = dict.fromkeys(
        (row["service"], row["name"])
        for row in prices.table("rates.csv")
        if row["region"] == place and row["service"] != "sagemaker"
    )
    for service, name in named:
        tiers = prices.tiers(place, service, name)
        if not isinstance(tiers, Unknown):
            yield from (Shown(place, "other", _tier_name(service, name, tier), tier.rate) for tier in tiers)


def _tier_name(service: str, name: str, tier: Tier) -> str:
    return f"{service} {name}" + (f" from {tier.from_quantity:,f}" if tier.from_quantity else "")


def _rate_document(name: str, rate: Rate | Unknown) -> dict[str, Any]:
    if isinstance(rate, Unknown):
        return {"name": name, "unit": None, "rate": None, "basis": f"unknown: {rate.reason}", "suspect": None}
    return {
        "name": name,
        "unit": rate.unit,
        "rate": plain_quantity(rate.usd),
        "basis": f"{rate.basis}: {rate.detail}",
        "suspect": rate.suspect or None,
    }


def _row(name: str, rate: Rate | Unknown) -> tuple[str, ...]:
    if isinstance(rate, Unknown):
        return (name, "?", "", "unknown", rate.reason)
    note = f"suspect: {rate.suspect}" if rate.suspect else rate.detail
    return (name, plain_quantity(rate.usd), rate.unit, rate.basis, note)
