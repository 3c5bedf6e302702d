"""Results as a notebook shows them: a table and what belongs below it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from cost_model.billing.estimate import Estimate
from cost_model.compare import Comparison, Option
from cost_model.components import cents, dollars
from cost_model.report import compare as comparison_report
from cost_model.report import estimate as estimate_report
from cost_model.report.figure import Cell, Table
from cost_model.report.template import load_template
from rerank_toolkit.console import Column

LINES = (
    Column("Line"),
    Column("Quantity", "right"),
    Column("Unit"),
    Column("Rate $", "right"),
    Column("Cost $", "right"),
    Column("Basis"),
)
"""Of an option's bill."""

TOP = 1
"""Options of each model and kind that a comparison shows."""


def bundle(result: object) -> dict[str, str]:
    """The result in a line of text, and as HTML that is safe to show: all text in it is escaped."""
    title, table, notes = _parts(result)
    template = load_template("notebook.html.j2")
    return {"text/plain": title, "text/html": template.render(title=title, table_data=table, notes=notes)}


@singledispatch
def _parts(result: object) -> tuple[str, Table, list[str]]:
    raise TypeError(f"{type(result).__name__} has no rendering in notebooks")


@_parts.register
def _(result: Comparison) -> tuple[str, Table, list[str]]:
    shown = comparison_report.shown_options(result, TOP, "model")
    found = f"{len(result.options):,} options in {result.region}"
    title = f"{found}: {result.chosen.label}, {result.chosen.dollars_a_month}" if result.chosen else found
    table = Table(
        title=title,
        columns=comparison_report.comparison_columns(result),
        rows=_cells(comparison_report.comparison_rows(result, shown)),
    )
    return title, table, [result.workload.describe(), *comparison_report.comparison_notes(result, shown)]


@_parts.register
def _(result: Option) -> tuple[str, Table, list[str]]:
    rows = [
        (
            line.name,
            f"{line.quantity:,.6g}",
            line.unit,
            "?" if line.rate is None else estimate_report.plain_quantity(line.rate),
            "unpriced" if line.cost is None else cents(line.cost),
            line.basis,
        )
        for line in result.components
    ]
    quality = "unknown" if result.quality is None else f"{result.quality:g}"
    title = f"{result.label}, {result.dollars_a_month}"
    notes = [
        f"p50 {result.p50_ms:,.0f} ms, p95 {result.p95_ms:,.0f} ms, p99 {result.p99_ms:,.0f} ms; "
        f"busy {result.utilisation:.0%} of the time; {result.workload.quality_name} {quality}",
        f"speed: {result.candidate.basis}",
    ]
    return title, Table(title=title, columns=LINES, rows=_cells(rows)), notes


@_parts.register
def _(result: Estimate) -> tuple[str, Table, list[str]]:
    title = f"{dollars(result.total, complete=result.complete)} in {result.region}"
    rows = estimate_report.estimate_rows(result)
    table = Table(title=title, columns=estimate_report.COLUMNS, rows=_cells(rows))
    return title, table, [*estimate_report.estimate_notes(result), *result.warnings]


def _cells(rows: Sequence[tuple[str, ...]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(Cell(text) for text in row) for row in rows)
