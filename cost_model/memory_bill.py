"""What a smaller model saves where memory is billed: in steps (SageMaker serverless) or by what is held (Azure).

The published claims are of memory: 75 % less from base to tiny, 13 % less from turbo to tiny. A bill follows them only
as far as it is by the byte, and as far as a process is made of weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from cost_model.memory import MemoryNeed, memory_of, weights_mib
from cost_model.prices.book import PriceBook, Rate, Unknown
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.manifest import Dtype, Engine

MIB_IN_GIB = 1024


class MemoryBill(msgspec.Struct, frozen=True, kw_only=True):
    """One model, served for a second. Dollars; None where nothing holds it or no rate is known."""

    model: Model
    weights_mib: float
    need: MemoryNeed
    serverless: Decimal | None
    """Of the step that holds it."""
    azure_functions: Decimal | None
    """GB-seconds of what it holds."""
    azure_container_apps: Decimal | None
    """GiB-seconds of what it holds; the vCPU, which costs the more, comes on top and doesn't change."""


def memory_bills(
    models: Sequence[Model], engine: Engine, dtype: Dtype, prices: PriceBook, region: str
) -> list[MemoryBill]:
    """Each model on one worker, with documents of up to 512 tokens."""
    bills = []
    for model in models:
        need = memory_of(model, engine, dtype)
        gib = Decimal(str(round(need.mib / MIB_IN_GIB, 6)))
        bills.append(
            MemoryBill(
                model=model,
                weights_mib=weights_mib(model, dtype),
                need=need,
                serverless=_usd(prices.serverless(region, need.step_mb)) if need.step_mb else None,
                azure_functions=_usd(prices.rate(region, "azure-functions", "duration"), gib),
                azure_container_apps=_usd(prices.rate(region, "azure-container-apps", "memory"), gib),
            )
        )
    return bills


def saved(before: Decimal | float | None, after: Decimal | float | None) -> float | None:
    """Share by which `after` is below `before`; None where one isn't known."""
    if before is None or after is None:
        return None
    return 1 - float(after) / float(before)


def _usd(rate: Rate | Unknown, quantity: Decimal = Decimal(1)) -> Decimal | None:
    return rate.usd * quantity if isinstance(rate, Rate) else None
