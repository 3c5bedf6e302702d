"""The report's tables that have no picture: what was asked, what was measured and assumed, and every option shown."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from cost_model.delays import load_delays
from cost_model.hardware import load_hardware
from cost_model.report.figure import Cell, Table, money, number, text
from cost_model.report.kinds import KINDS
from cost_model.report.view import Row, View
from cost_model.service_time import MeasuredModel
from cost_model.workload import Workload
from rerank_toolkit.console import Column


def workload_table(workload: Workload) -> Table:
    """The fields that say something, by their names in the file."""
    known = {basis.field: basis.text for basis in workload.basis}
    return Table(
        title="Workload",
        columns=(Column("Field"), Column("Value"), Column("Basis")),
        rows=tuple(
            (text(name), text(_plain(value)), text(known.get(name, "as given, or the field's default")))
            for name, value in msgspec.to_builtins(workload).items()
            if value not in (None, "", (), [], {}) and name not in ("schema_version", "basis")
        ),
    )


def profile_table(measured: Sequence[MeasuredModel]) -> Table:
    return Table(
        title="Measured profiles",
        columns=(
            Column("Model"),
            Column("Engine"),
            Column("Machine"),
            Column("Threads", "right"),
            Column("Measured"),
            Column("Weights"),
            Column("Error of its law", "right"),
        ),
        rows=tuple(
            (
                text(one.profile.model_id),
                text(f"{one.profile.engine} {one.profile.dtype}"),
                text(one.machine),
                number(one.profile.threads),
                text(f"{one.profile.measured_at:%Y-%m-%d}"),
                text("seeded" if one.profile.seeded else "genuine"),
                number(one.law.error, ".0%"),
            )
            for one in measured
        ),
    )


def assumption_table() -> Table:
    """What is assumed of machines and of what scales, for want of anything published or measured."""
    machines = [(name, value, "assumed") for name, value in _fields(load_hardware().assumed)]
    delays = [
        (f"{part} {name}", value, f"{known.basis}: {known.source}")
        for part, known in ((name, getattr(load_delays(), name)) for name in load_delays().__struct_fields__)
        for name, value in _fields(known)
        if name not in ("source", "basis")
    ]
    return Table(
        title="Assumed",
        columns=(Column("What"), Column("Value"), Column("Basis")),
        rows=tuple(
            (text(name.replace("_", " ").replace("  ", " ")), text(_plain(value)), text(basis))
            for name, value, basis in [*machines, *delays]
        ),
    )


def _fields(struct: msgspec.Struct) -> list[tuple[str, object]]:
    return list(msgspec.structs.asdict(struct).items())


def option_table(view: View) -> Table:
    """The best of each model and kind: within the limits before beyond them, then the cheapest; and the contenders."""
    groups = {(row.model.id, row.kind): row for row in sorted(view.rows, key=_rank, reverse=True)}
    best = {id(row) for row in (*groups.values(), *view.contenders)}
    several = len(view.regions) > 1
    columns = (
        Column("Mark"),
        Column("Model"),
        Column("Kind"),
        Column("On"),
        *((Column("Region"),) if several else ()),
        Column("Engine"),
        Column("$ a month", "right"),
        Column("$/M documents", "right"),
        Column("$/1,000 queries", "right"),
        Column("p50 ms", "right"),
        Column("p95 ms", "right"),
        Column("p99 ms", "right"),
        Column("Busy", "right"),
        Column("MiB needed", "right"),
        Column(view.workload.quality_name, "right"),
        Column("Speed"),
        Column("Times"),
    )
    shown = [row for row in view.rows if id(row) in best]
    return Table(title="Options", columns=columns, rows=tuple(_option(row, several=several) for row in shown))


def _rank(row: Row) -> tuple[bool, Decimal, float]:
    return not row.within, row.monthly_cost, row.p95_ms


def _option(row: Row, *, several: bool) -> tuple[Cell, ...]:
    mark = "✓" if row.chosen else "◆" if row.pareto else ""
    return (
        text(mark if row.within else f"{mark} !".strip()),
        text(row.model.alias),
        text(KINDS[row.kind].label),
        text(row.place),
        *((text(row.region),) if several else ()),
        text(f"{row.engine} {row.dtype}"),
        money(row.monthly_cost, complete=row.complete),
        money(row.per_million_documents, complete=row.complete),
        money(row.per_thousand_queries, complete=row.complete),
        number(row.p50_ms),
        number(row.p95_ms),
        number(row.p99_ms),
        number(row.utilisation, ".0%"),
        number(row.memory_needed),
        number(row.quality, ".4g"),
        Cell(row.known_by, row.known_by, row.basis),
        text(row.timed),
    )


def _plain(value: object) -> str:
    """As one would write it in the file; of many values, how many."""
    match value:
        case bool():
            return "yes" if value else "no"
        case float() | int():
            return f"{value:,g}"
        case list() | tuple() if len(value) > 3:
            return f"{len(value)} values"
        case list() | tuple():
            return " to ".join(map(_plain, value))
        case dict():
            return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
        case _:
            return str(value)
