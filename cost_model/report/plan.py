"""A plan and its difference from another, as JSON and for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from cost_model.compare import Comparison, Option
from cost_model.components import cents, dollars, plain
from cost_model.growth import Horizon
from cost_model.plan_difference import Difference
from cost_model.prices.book import PriceBook
from cost_model.report.compare import option_document, reason_lines, room
from cost_model.report.estimate import plain_quantity, prices_document
from rerank_toolkit import __version__
from rerank_toolkit.console import Column
from rerank_toolkit.contracts.manifest import default_dtype
from rerank_toolkit.contracts.plan import Deployment, LocalArtifact, Plan

BILL_COLUMNS = (
    Column("Line"),
    Column("Quantity", "right"),
    Column("Unit"),
    Column("Rate $", "right"),
    Column("Cost $", "right"),
)

CHANGE_COLUMNS = (Column("Stack"), Column("What"), Column("Before"), Column("After"))


def plan_document(
    plan: Plan,
    comparison: Comparison,
    prices: PriceBook,
    *,
    out: Path | None,
    difference: Difference | None,
    horizon: Horizon | None,
) -> dict[str, Any]:
    chosen, runner_up = comparison.chosen, comparison.runner_up
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "currency": prices.header.currency,
        "prices": prices_document(prices, plan.region),
        "plan": plan,
        "commands": commands(plan, out),
        "monthly_cost": None if chosen is None else plain(chosen.monthly_cost),
        "headroom": None if chosen is None else chosen.headroom,
        "reason": comparison.reason,
        "runner_up": None if runner_up is None else option_document(runner_up),
        "growth": None if horizon is None else horizon_document(horizon),
        "difference": None if difference is None else difference_document(difference),
    }


def horizon_document(horizon: Horizon) -> dict[str, Any]:
    """`kept` is the choice as it is needed in the month, `chosen` what is the one to take then."""
    kept, chosen = horizon.kept, horizon.then.chosen
    return {
        "month": horizon.month,
        "factor": horizon.factor,
        "lasts_until_month": horizon.lasts,
        "kept": None if kept is None else option_document(kept),
        "chosen": None if chosen is None else option_document(chosen),
        "reason": horizon.then.reason,
    }


def difference_document(difference: Difference) -> dict[str, Any]:
    return {
        "changes": msgspec.to_builtins(difference.changes),
        "monthly_cost_before": None if difference.before is None else plain(difference.before),
        "monthly_cost_after": None if difference.after is None else plain(difference.after),
        "saves": None if difference.saves is None else plain(difference.saves),
    }


def bill_rows(option: Option) -> list[tuple[str, ...]]:
    """Rows under BILL_COLUMNS, the total last."""
    rows = [
        (
            line.name,
            f"{line.quantity:,.4f}".rstrip("0").rstrip("."),
            line.unit,
            "?" if line.rate is None else plain_quantity(line.rate),
            "unpriced" if line.cost is None else cents(line.cost),
        )
        for line in option.components
    ]
    return [*rows, ("total", "", "", "", cents(option.monthly_cost, complete=option.complete))]


def plan_notes(
    plan: Plan, comparison: Comparison, option: Option, horizon: Horizon | None, out: Path | None
) -> list[str]:
    """What a reader wants to know before the deploy command, and that."""
    praise, *rest = reason_lines(comparison)
    lines = [
        praise,
        f"  p95 {option.p95_ms:,.0f} ms in the busiest hour ({option.timed}), {option.utilisation:.0%} busy, "
        f"room for more traffic: {room(option)}",
        *rest,
    ]
    for deployment in plan.deployments:
        if deployment.scaling:
            lines.append(f"  scales by {deployment.scaling.formula}")
    if horizon is not None:
        lines += _horizon(horizon)
    return [*lines, "", *commands(plan, out)]


def _horizon(horizon: Horizon) -> Iterator[str]:
    """What growth makes of the plan."""
    lasts = "nothing bounds it" if horizon.lasts is None else f"its room lasts until month {horizon.lasts}"
    asks = f"month {horizon.month} has {horizon.factor:.3g} times the traffic"
    kept = horizon.kept
    needs = (
        "for which it is not to be had" if kept is None else f"for which it takes {kept.place}, {kept.dollars_a_month}"
    )
    yield f"  as traffic grows {lasts}; {asks}, {needs}"
    if horizon.changes_choice and (chosen := horizon.then.chosen) is not None:
        told = f"{horizon.then.named(chosen)}, {chosen.dollars_a_month}"
        yield f"  the one to take then: {told} (--month {horizon.month})"


def commands(plan: Plan, out: Path | None) -> list[str]:
    """What to type next: package, deploy."""
    if out is None:
        return []
    stacks = " ".join(deployment.stack for deployment in plan.deployments)
    return [
        *(_package(deployment) for deployment in plan.deployments),
        f"cdk deploy -c plan={out} {stacks}",
    ]


def _package(deployment: Deployment) -> str:
    words = ["rerank package", deployment.model]
    if deployment.engine != "openvino":
        words.append(f"--engine {deployment.engine}")
    if deployment.dtype != default_dtype(deployment.engine):
        words.append(f"--dtype {deployment.dtype}")
    if isinstance(deployment.artifact, LocalArtifact):
        words.append(f"--out {deployment.artifact.path}")
    return " ".join(words)


def change_rows(difference: Difference) -> list[tuple[str, ...]]:
    """Rows under CHANGE_COLUMNS."""
    return [
        (change.stack or "plan", change.field or _coming(change.before), _cut(change.before), _cut(change.after))
        for change in difference.changes
    ]


def difference_note(difference: Difference) -> str:
    if difference.saves is None:
        return "what it saves is not known: a deployment has no known cost"
    before, after = dollars(difference.before or Decimal(0)), dollars(difference.after or Decimal(0))
    if difference.saves == 0:
        return f"{before} a month before and after"
    word = "saves" if difference.saves > 0 else "costs more by"
    return f"{before} a month before, {after} after: {word} {dollars(abs(difference.saves))} a month"


def _coming(before: str | None) -> str:
    return "comes" if before is None else "goes"


def _cut(value: str | None) -> str:
    text = "—" if value is None else value
    return text if len(text) <= 60 else f"{text[:57]}…"
