"""What a change changes, as JSON and as a table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from cost_model.compare import Option
from cost_model.components import cents, dollars, plain
from cost_model.prices.book import PriceBook
from cost_model.report.compare import option_document, place, room
from cost_model.report.estimate import prices_document
from cost_model.verdicts import is_affordable, is_fast, is_good
from cost_model.whatif import WhatIf
from cost_model.workload import Workload
from rerank_toolkit import __version__
from rerank_toolkit.console import Column

COLUMNS = (
    Column(""),
    Column("Model"),
    Column("Region"),
    Column("On"),
    Column("×", "right"),
    Column("$/month", "right"),
    Column("p95 ms", "right"),
    Column("busy", "right"),
    Column("room", "right"),
)


def whatif_document(found: WhatIf, prices: PriceBook) -> dict[str, Any]:
    """`kept` is what was chosen before, under what holds after."""
    regions = dict.fromkeys([*found.before.regions, *found.after.regions])
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "currency": prices.header.currency,
        "prices": prices_document(prices, *regions),
        "before": _side(found.before.workload, found.before.chosen, found.before.reason),
        "kept": None if found.kept is None else {**option_document(found.kept), "within_limits": found.kept_meets},
        "after": _side(found.after.workload, found.after.chosen, found.after.reason),
        "lasts_until_month": found.lasts,
        "dearer": None if found.dearer is None else plain(found.dearer),
    }


def _side(workload: Workload, chosen: Option | None, reason: str) -> dict[str, Any]:
    return {
        "workload": msgspec.to_builtins(workload),
        "chosen": None if chosen is None else option_document(chosen),
        "reason": reason,
    }


def whatif_rows(found: WhatIf) -> list[tuple[str, ...]]:
    """Rows under COLUMNS: before, the same after, and what is chosen after."""
    rows = []
    if found.before.chosen is not None:
        rows.append(_row("before", found.before.chosen, found.before.workload))
    if found.kept is not None:
        rows.append(_row("after, kept", found.kept, found.after.workload))
    if found.after.chosen is not None:
        rows.append(_row("after, chosen", found.after.chosen, found.after.workload))
    return rows


def whatif_notes(found: WhatIf) -> list[str]:
    lines = []
    if (lasts := found.lasts) is not None:
        lines.append(f"what is chosen before has room until month {lasts}")
    if found.before.chosen is not None and found.kept is None:
        lines.append(f"{found.before.chosen.label} is not to be had then")
    elif found.kept is not None and not found.kept_meets:
        lines.append(f"{found.kept.label} no longer keeps the limits (!)")
    if found.after.chosen is None:
        return [*lines, f"nothing keeps the limits then: {found.after.reason}"]
    if not found.changes_choice:
        lines.append("the choice stays the same")
    if found.dearer is not None:
        word = "more" if found.dearer > 0 else "less"
        told = f"{dollars(abs(found.dearer))} {word} a month" if found.dearer else "the bill stays the same"
        lines.append(f"{told}, choosing anew" if found.dearer else told)
    praise, *rest = found.after.reason.split("; ")
    return [*lines, f"after: {praise}", *(f"  {line}" for line in rest)]


def _row(name: str, option: Option, workload: Workload) -> tuple[str, ...]:
    beyond = not (is_fast(option, workload) and is_good(option, workload) and is_affordable(option, workload))
    return (
        name + (" !" if beyond else ""),
        option.candidate.model.alias,
        option.region,
        place(option.mode, option.candidate.host),
        str(option.count),
        cents(option.monthly_cost, complete=option.complete),
        f"{option.p95_ms:,.0f}",
        f"{option.utilisation:.0%}",
        room(option),
    )
