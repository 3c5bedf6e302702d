"""The price snapshot of a region as rows."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from cost_model.prices.book import PriceBook, Rate, Unknown
from cost_model.report.estimate import plain_quantity, prices_document
from rerank_toolkit import __version__
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.console import Column

COLUMNS = (Column("What"), Column("USD", "right"), Column("a"), Column("Basis"), Column("Note"))


def price_rows(prices: PriceBook, region: str, instances: str) -> list[tuple[str, ...]]:
    """Rows under COLUMNS of every instance type that matches the glob and, for all, serverless and the rest."""
    return [_row(name, rate) for name, rate in _rates(prices, region, instances)]


def price_document(prices: PriceBook, region: str, instances: str) -> dict[str, Any]:
    """The same rates as JSON, in decimal strings; None where a price is unknown."""
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "currency": prices.header.currency,
        "region": region,
        "prices": prices_document(prices),
        "rates": [_rate_document(name, rate) for name, rate in _rates(prices, region, instances)],
    }


def _rates(prices: PriceBook, region: str, instances: str) -> list[tuple[str, Rate | Unknown]]:
    found: list[tuple[str, Rate | Unknown]] = [
        (name, prices.hosting(region, name)) for name in load_instances() if fnmatchcase(name, instances)
    ]
    if instances == "*":
        sizes = load_limits().serverless.memory_mb
        found += [(f"serverless {size} MB", prices.serverless(region, size)) for size in sizes]
        found += [
            (name, prices.rate(region, "sagemaker", name)) for name in ("data-in", "data-out", "endpoint-storage")
        ]
    return found


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
