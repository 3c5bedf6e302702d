"""The month's bill of the options looked at closely, by component."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import altair as alt

from cost_model.components import Component, dollars
from cost_model.report.charts.draw import PALETTE, WIDTH, data, svg
from cost_model.report.estimate import plain_quantity
from cost_model.report.figure import Cell, Figure, Source, Table, money, number, text
from cost_model.report.view import Row, View
from rerank_toolkit.console import Column

ID, TITLE = "bill", "The bill by component"

COLUMNS = (
    Column("Option"),
    Column("Line"),
    Column("Quantity", "right"),
    Column("Unit"),
    Column("Rate $", "right"),
    Column("Cost $", "right"),
    Column("Basis"),
)

BAR = 34
SEEN = Decimal("0.002")
"""Of the widest bar: about a pixel."""


def figure(view: View) -> Figure:
    rows = view.contenders
    return Figure(
        id=ID,
        title=TITLE,
        says=_says(rows),
        sources=(view.price_source, Source("Quantities", "follow from the workload and the count of each option")),
        missing=(*_unpriced(rows), *_unseen(rows)),
        svg=_draw(rows) if rows else "",
        table=Table(
            title=TITLE,
            columns=COLUMNS,
            rows=tuple(_cells(row, line) for row in rows for line in row.components),
        ),
    )


def part(line: Component) -> str:
    """What a line is for, without its particulars: "Hosting, ml.m5.xlarge" is hosting."""
    return line.name.partition(",")[0]


def costs(row: Row) -> dict[str, Decimal]:
    """What is priced, by part; below zero what is taken off."""
    found: dict[str, Decimal] = {}
    for line in row.components:
        if line.cost:
            found[part(line)] = found.get(part(line), Decimal(0)) + line.cost
    return found


def _unpriced(rows: Sequence[Row]) -> list[str]:
    lines = {line.name: line.basis for row in rows for line in row.components if line.cost is None and line.quantity}
    return [f"{name}, for its price is unknown: {basis}" for name, basis in lines.items()]


def _unseen(rows: Sequence[Row]) -> list[str]:
    """The parts that no bar is wide enough to show."""
    most = {name: max(abs(costs(row).get(name, Decimal(0))) for row in rows) for row in rows for name in costs(row)}
    return [
        f"{name}, at most {dollars(cost)} a month and too narrow to see"
        for name, cost in most.items()
        if cost < _widest(rows) * SEEN
    ]


def _widest(rows: Sequence[Row]) -> Decimal:
    """Of what is charged, before anything is taken off."""
    return max((_charged(row) for row in rows), default=Decimal(0))


def _charged(row: Row) -> Decimal:
    return sum((cost for cost in costs(row).values() if cost > 0), Decimal(0))


def _cells(row: Row, line: Component) -> tuple[Cell, ...]:
    rate = Cell("unknown") if line.rate is None else Cell(plain_quantity(line.rate), float(line.rate))
    return (
        text(row.label),
        text(line.name),
        number(float(line.quantity), ",.6g"),
        text(line.unit),
        rate,
        money(line.cost),
        text(line.basis),
    )


def _says(rows: Sequence[Row]) -> str:
    if not rows:
        return "There is no option to bill."
    return (
        "A month costs "
        + "; ".join(f"{dollars(row.monthly_cost, complete=row.complete)} for {row.label}" for row in rows)
        + "."
    )


def _draw(rows: Sequence[Row]) -> str:
    widest = _widest(rows)
    parts = list(dict.fromkeys(name for row in rows for name, cost in costs(row).items() if abs(cost) >= widest * SEEN))
    off = min(sum((cost for cost in costs(row).values() if cost < 0), Decimal(0)) for row in rows)
    order = [row.label for row in rows]
    bars = [
        {
            "option": row.label,
            "part": name,
            "at": parts.index(name),
            "cost": float(cost),
            "says": f"{row.label}: {name} {dollars(cost)}",
        }
        for row in rows
        for name, cost in costs(row).items()
        if name in parts
    ]
    x_scale = alt.Scale(domain=[float(off) * 1.05, float(widest) * 1.18 or 1.0], nice=False)
    y = alt.Y("option:N", sort=order, axis=alt.Axis(title=None, labelLimit=0, ticks=False, domain=False))
    stacked = (
        alt.Chart(data(bars))
        .mark_bar(height=BAR * 0.6)
        .encode(
            x=alt.X("cost:Q", axis=alt.Axis(title="US$ a month", format=",.0f", tickCount=6), scale=x_scale),
            y=y,
            color=alt.Color("part:N", scale=alt.Scale(domain=parts, range=list(PALETTE[: len(parts)]))),
            order="at:Q",
            description="says:N",
        )
    )
    totals = (
        alt.Chart(
            data(
                [
                    {
                        "option": row.label,
                        "cost": float(_charged(row)),
                        "total": dollars(row.monthly_cost, complete=row.complete),
                    }
                    for row in rows
                ]
            )
        )
        .mark_text(align="left", baseline="middle", dx=6)
        .encode(x=alt.X("cost:Q", scale=x_scale), y=y, text="total:N")
    )
    chart = alt.layer(stacked, totals).properties(width=WIDTH - 220, height=BAR * len(rows))
    return svg(chart, id=ID, title=TITLE, description=_says(rows))
