"""How old the prices are that a figure stands on, and when to say so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from cost_model.prices.book import PriceBook

OLD_DAYS = 90
"""From there on every command that prices warns."""


def age_days(prices: PriceBook, region: str, today: date | None = None) -> int:
    """Days since the region's hosting and serverless prices were published; today is UTC's."""
    return ((today or datetime.now(UTC).date()) - prices.origin(region).as_of).days


def age_warning(prices: PriceBook, regions: Iterable[str], today: date | None = None) -> str | None:
    """What to tell whoever reads a bill of these regions, if their prices are older than OLD_DAYS."""
    old = [region for region in regions if age_days(prices, region, today) > OLD_DAYS]
    if not old:
        return None
    oldest = min(old, key=lambda region: prices.origin(region).as_of)
    return (
        f"the prices of {', '.join(old)} are up to {age_days(prices, oldest, today)} days old "
        f"({prices.origin(oldest).as_of}); `rerank cost prices refresh` fetches today's"
    )
