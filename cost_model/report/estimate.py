"""An estimate as JSON and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cost_model.billing.estimate import Estimate
from cost_model.components import Component, cents, plain
from cost_model.prices.age import age_days, age_warning
from cost_model.prices.book import PriceBook
from rerank_toolkit import __version__
from rerank_toolkit.console import Column

COLUMNS = (
    Column("Item"),
    Column("Quantity", "right"),
    Column("Unit"),
    Column("Rate $", "right"),
    Column("Cost $", "right"),
    Column("Basis"),
)


def prices_document(prices: PriceBook, *regions: str) -> dict[str, Any]:
    """From when and where the prices of the regions are, of all without one: of several the oldest, and each.

    `warning` is there where they are old.
    """
    known = [region for region in dict.fromkeys(regions or prices.regions) if region in prices.regions]
    oldest = min(known, key=lambda region: prices.origin(region).as_of, default="")
    origin = prices.origin(oldest)
    return {
        "as_of": origin.as_of.isoformat(),
        "source": origin.source,
        "age_days": age_days(prices, oldest),
        "warning": age_warning(prices, known),
        **({"regions": {region: prices.origin(region) for region in known}} if len(known) > 1 else {}),
    }


def prices_line(prices: PriceBook, regions: Sequence[str]) -> str:
    """Regions with the day that their prices are of, once where it is the same."""
    days = {region: prices.origin(region).as_of for region in regions}
    if len(set(days.values())) == 1:
        return f"{', '.join(days)}, prices as of {next(iter(days.values()))}"
    return ", ".join(f"{region} at prices of {day}" for region, day in days.items())


def component_document(line: Component) -> dict[str, str | None]:
    """Exact figures as decimal strings; None where a price is unknown."""
    return {
        "name": line.name,
        "unit": line.unit,
        "quantity": plain_quantity(line.quantity),
        "rate": None if line.rate is None else plain_quantity(line.rate),
        "cost": None if line.cost is None else plain(line.cost),
        "basis": line.basis,
    }


def estimate_document(bill: Estimate, prices: PriceBook) -> dict[str, Any]:
    """`complete` is False where a line is unpriced, which makes `total` a lower bound."""
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "currency": prices.header.currency,
        "region": bill.region,
        "prices": prices_document(prices, bill.region),
        "total": plain(bill.total),
        "complete": bill.complete,
        "items": [
            {
                "kind": item.kind,
                "total": plain(item.total),
                "complete": item.complete,
                "components": [component_document(line) for line in item.components],
            }
            for item in bill.items
        ],
        "warnings": bill.warnings,
    }


def estimate_rows(bill: Estimate, *, full: bool = False) -> list[tuple[str, ...]]:
    """Rows under COLUMNS: each item with its lines as a tree, then the total; with `full` the whole basis."""
    rows: list[tuple[str, ...]] = []
    for item in bill.items:
        rows.append((item.kind, "", "", "", _at_least(item.total, item.complete), ""))
        for line in item.components:
            glyph = "└─" if line is item.components[-1] else "├─"
            rows.append(
                (
                    f"{glyph} {line.name}",
                    f"{line.quantity:,.4f}".rstrip("0").rstrip("."),
                    line.unit,
                    "?" if line.rate is None else plain_quantity(line.rate),
                    "unpriced" if line.cost is None else cents(line.cost),
                    line.basis if full else line.basis.partition(":")[0],
                )
            )
    rows.append(("total", "", "", "", _at_least(bill.total, bill.complete), ""))
    return rows


def estimate_notes(bill: Estimate) -> list[str]:
    """What a reader must know of lines that are not simply a published price."""
    bound = [] if bill.complete else ["≥: at least, for not every line has a known price"]
    bases = dict.fromkeys((line.name, line.basis) for item in bill.items for line in item.components)
    return bound + [f"{name}: {basis}" for name, basis in bases if not basis.startswith("published")]


def plain_quantity(value: Decimal) -> str:
    """All digits that count, without an exponent."""
    return format(value.normalize(), "f") if value else "0"


def _at_least(value: Decimal, complete: bool) -> str:
    return cents(value, complete=complete) if complete or value else "unpriced"
