"""A comparison as JSON and as a table."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec

from cost_model.compare import Comparison, Option, is_fast, is_good, meets
from cost_model.components import cents, plain
from cost_model.prices.book import PriceBook
from cost_model.report.estimate import component_document, prices_document
from cost_model.workload import Workload
from rerank_toolkit import __version__
from rerank_toolkit.console import Column

COLUMNS = (
    Column(""),
    Column("Model"),
    Column("On"),
    Column("×", "right"),
    Column("$/month", "right"),
    Column("$/M docs", "right"),
    Column("$/1k q", "right"),
    Column("p95 ms", "right"),
    Column("busy", "right"),
    Column("GiB", "right"),
    Column("BEIR", "right"),
    Column("basis"),
)

LEGEND = (
    "✓ chosen   ◆ none is better in cost, p95 or BEIR and worse in none   ! beyond a limit   ? not published",
    "× instances, or requests at once   busy: share of the time   GiB: needed/available   BEIR: published nDCG@10",
    "interpolated: by a law through the measured requests; scaled: that carried to another machine by peak compute",
    "serverless: 1 vCPU a GB is assumed, cold starts not counted   --json: the formula and the basis of each figure",
)
AT_LEAST = "≥ at least: minor lines without a known price, such as data in this region, come on top"

BEYOND, PART = "†", "‡"


def option_document(option: Option) -> dict[str, Any]:
    candidate = option.candidate
    return {
        "model": candidate.model.id,
        "engine": candidate.speed.measured.profile.engine,
        "dtype": candidate.dtype,
        **candidate.host.option,
        "count": option.count,
        "monthly_cost": plain(option.monthly_cost),
        "complete": option.complete,
        "cost_per_million_documents": plain(option.cost_per_million_documents),
        "cost_per_thousand_queries": plain(option.cost_per_thousand_queries),
        "documents_per_second": option.documents_per_second,
        "p50_ms": option.p50_ms,
        "p95_ms": option.p95_ms,
        "p99_ms": option.p99_ms,
        "utilisation": option.utilisation,
        "memory_mb_needed": round(candidate.memory_needed),
        "memory_mb_available": candidate.host.memory_mb,
        "quality": option.quality,
        "basis": candidate.basis,
        "pareto": option.pareto,
        "chosen": option.chosen,
        "components": [component_document(line) for line in option.components],
    }


def comparison_document(comparison: Comparison, prices: PriceBook) -> dict[str, Any]:
    """Every option and everything left out. Money in decimal strings, times in ms."""
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "currency": prices.header.currency,
        "region": comparison.region,
        "prices": prices_document(prices, comparison.region),
        "workload": msgspec.to_builtins(comparison.workload),
        "choice": {
            "reason": comparison.reason,
            "runner_up": option_document(comparison.runner_up) if comparison.runner_up else None,
        },
        "options": [option_document(option) for option in comparison.options],
        "left_out": [{"option": item.option, "reason": item.why.reason} for item in comparison.left_out],
    }


def comparison_rows(comparison: Comparison, top: int) -> tuple[list[tuple[str, ...]], int]:
    """Rows under COLUMNS, and how many options are not among them.

    Of each model the best `top` of each kind (CPU, GPU, serverless), all if 0: within the limits before beyond
    them, then cheapest. The chosen one is always shown.
    """
    order = {model: at for at, model in enumerate(dict.fromkeys(o.candidate.model.id for o in comparison.options))}
    kinds = ("cpu", "gpu", "serverless")

    def group(option: Option) -> tuple[int, int]:
        return order[option.candidate.model.id], kinds.index(option.candidate.host.kind)

    def rank(option: Option) -> tuple[Any, ...]:
        return (*group(option), not meets(option, comparison.workload), option.monthly_cost, option.p95_ms)

    shown: list[Option] = []
    for _, members in groupby(sorted(comparison.options, key=rank), key=group):
        ranked = list(members)
        shown += [option for at, option in enumerate(ranked) if top == 0 or at < top or option.chosen]
    rows = [_row(option, comparison.workload) for option in shown]
    return rows, len(comparison.options) - len(shown)


def comparison_notes(comparison: Comparison, hidden: int) -> list[str]:
    """What stands below the table."""
    lines = []
    if hidden:
        lines.append(f"… {hidden} more: --top 0")
    lines += LEGEND
    if not all(option.complete for option in comparison.options):
        lines.append(AT_LEAST)
    lines += _marked(comparison)
    if (chosen := comparison.chosen) is not None:
        praise, *rest = comparison.reason.split("; ")
        lines += ["", f"✓ {chosen.label}, {chosen.dollars_a_month}: {praise}", *(f"  {line}" for line in rest)]
        if (word := _basis(chosen)) != "interpolated":
            lines.append(f"  its speed is {word}, not measured: measure an endpoint there before you rely on it")
        lines += _better(comparison, chosen)
    if reasons := left_out_lines(comparison):
        lines += ["", "Left out:", *(f"  {reason}" for reason in reasons)]
    return lines


def left_out_lines(comparison: Comparison) -> list[str]:
    """Reasons with what each keeps out: a place for every model, or one model in one place. The commonest first."""
    counts = Counter(("model" in item.option, item.why.heading) for item in comparison.left_out)
    return [
        f"{count} × {reason}{'' if of_a_model else ' (for every model)'}"
        for (of_a_model, reason), count in counts.most_common()
    ]


def _better(comparison: Comparison, chosen: Option) -> list[str]:
    """The cheapest way to the best published quality within the limits, if that is not what was chosen."""
    known = [option for option in comparison.options if option.quality is not None]
    within = [option for option in known if meets(option, comparison.workload)]
    best = max(within, key=lambda option: (option.quality, -option.monthly_cost, -option.p95_ms), default=chosen)
    if best.quality is None or best.quality <= (chosen.quality or 0.0):
        return []
    return [
        f"  best quality within the limits: {best.label}, BEIR {best.quality:.1f} (--min-quality sets a floor),",
        f"  for {best.dollars_a_month} at a p95 of {best.p95_ms:,.0f} ms",
    ]


def _row(option: Option, workload: Workload) -> tuple[str, ...]:
    candidate = option.candidate
    mark = "✓" if option.chosen else "◆" if option.pareto else " "
    slow = "" if is_fast(option, workload) else "!"
    poor = "" if is_good(option, workload) else "!"
    quality = "?" if option.quality is None else f"{option.quality:.1f}"
    return (
        mark,
        candidate.model.alias,
        candidate.host.label,
        str(option.count),
        cents(option.monthly_cost, complete=option.complete),
        cents(option.cost_per_million_documents, complete=option.complete),
        cents(option.cost_per_thousand_queries, complete=option.complete),
        f"{slow}{option.p95_ms:,.0f}",
        f"{option.utilisation:.0%}",
        f"{candidate.memory_needed / 1024:.1f}/{candidate.host.memory_mb / 1024:.0f}",
        f"{poor}{quality}",
        f"{_basis(option)} {BEYOND if candidate.speed.beyond else ''}{PART if candidate.speed.part else ''}".rstrip(),
    )


def _basis(option: Option) -> str:
    """The word for how its speed is known; that it is extrapolated, a mark tells."""
    words, _, _ = option.candidate.basis.partition(":")
    return words.partition(",")[0]


def _marked(comparison: Comparison) -> list[str]:
    """What the marks of beyond and of part mean, for each model that has one."""
    lines: dict[str, None] = {}
    for option in comparison.options:
        alias, speed = option.candidate.model.alias, option.candidate.speed
        if speed.beyond:
            lines[f"{BEYOND} {alias} is extrapolated: {speed.beyond}"] = None
        if speed.part:
            lines[f"{PART} {alias} {speed.part} of the mean document, and competes all the same"] = None
    return list(lines)
