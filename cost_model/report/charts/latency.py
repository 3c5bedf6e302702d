"""What load does to the response time: of the options looked at closely, from idle to full."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from cost_model.report.charts.draw import HEIGHT, INK, MUTED, PALETTE, WIDTH, data, lines, svg
from cost_model.report.charts.scales import log_axis, log_domain
from cost_model.report.figure import Figure, Source, Table, number, text
from cost_model.report.load import BUSIEST, Curve, capacity, load_curve
from cost_model.report.view import Row, View
from rerank_toolkit.console import Column

ID, TITLE = "latency-load", "Latency against load"

COLUMNS = (
    Column("Option"),
    Column("Requests/s", "right"),
    Column("p50 ms", "right"),
    Column("p95 ms", "right"),
    Column("p99 ms", "right"),
)

POINTS, EVERY = 61, 4
"""Of the points of a curve, those in the table."""


def figure(view: View) -> Figure:
    curves = _curves(view)
    drawn = {id(row) for row, _ in curves}
    return Figure(
        id=ID,
        title=TITLE,
        says=_says(view, curves),
        sources=(
            view.speed_source,
            Source(
                "Delay",
                "closed forms of processor sharing under Poisson arrivals, at the count shown, up to "
                f"{BUSIEST:.0%} busy; serverless up to the concurrency shown, without cold starts",
            ),
        ),
        missing=tuple(
            f"{row.label}: its delay under load has no closed form" for row in view.contenders if id(row) not in drawn
        ),
        svg=_draw(view, curves) if curves else "",
        table=Table(
            title=TITLE,
            columns=COLUMNS,
            rows=tuple(
                (
                    text(row.label),
                    number(curve.rates[at], ",.3g"),
                    number(curve.p50_ms[at]),
                    number(curve.p95_ms[at]),
                    number(curve.p99_ms[at]),
                )
                for row, curve in curves
                for at in range(0, POINTS, EVERY)
            ),
        ),
    )


def _curves(view: View) -> list[tuple[Row, Curve]]:
    """From a tenth of the least of the busiest rate and the capacities, up to each one's capacity."""
    most = [(row, carried) for row in view.contenders if (carried := capacity(row.option))]
    least = min((view.workload.peak_rate, *(carried for _, carried in most))) / 10
    return [(row, load_curve(row.option, np.geomspace(least, carried, POINTS))) for row, carried in most]


def _says(view: View, curves: Sequence[tuple[Row, Curve]]) -> str:
    limit = view.workload.slo_ms
    if not curves:
        return "There is no option to follow."
    if limit is None:
        return "The workload sets no limit on the response time."
    parts = []
    for row, curve in curves:
        within = curve.rates[curve.limited_ms <= limit]
        kept = f"up to {within.max():,.3g} requests a second" if len(within) else "at no load"
        parts.append(f"{row.label} {kept}")
    return f"A p{view.workload.slo_percentile:g} of at most {limit:g} ms is kept by {'; by '.join(parts)}."


def _draw(view: View, curves: Sequence[tuple[Row, Curve]]) -> str:
    rate, limit = view.workload.peak_rate, view.workload.slo_ms
    when = "workload" if rate == view.workload.mean_rate else "busiest hour"
    percentile = f"p{view.workload.slo_percentile:g}"
    rates = [float(curve.rates[at]) for _, curve in curves for at in (0, -1)]
    times = [float(curve.limited_ms[at]) for _, curve in curves for at in (0, -1)]
    x_axis, x_scale = log_axis("requests a second", log_domain([*rates, rate], padding=1.05), format="~g")
    y_axis, y_scale = log_axis(
        f"{percentile} of the response time, ms", log_domain([*times, *([limit] if limit else [])]), format=",~g"
    )
    x, y = alt.X("rate:Q", axis=x_axis, scale=x_scale), alt.Y("ms:Q", axis=y_axis, scale=y_scale)
    drawn = lines(
        [
            {"line": row.label, "rate": float(at), "ms": float(ms)}
            for row, curve in curves
            for at, ms in zip(curve.rates, curve.limited_ms, strict=True)
        ],
        x,
        y,
        names=[row.label for row, _ in curves],
        colours=PALETTE[: len(curves)],
    )
    load = alt.Chart(data([{"rate": rate, "name": f"{when} {rate:.3g}/s"}]))
    layers = [
        drawn,
        load.mark_rule(color=MUTED, strokeDash=[3, 3]).encode(x=x),
        load.mark_text(align="left", baseline="bottom", dx=4).encode(x=x, y=alt.value(12), text="name:N"),
    ]
    if limit:
        slo = alt.Chart(data([{"ms": limit, "name": f"limit of {percentile}: {limit:g} ms"}]))
        layers += [
            slo.mark_rule(color=INK, strokeWidth=1.5).encode(y=y),
            slo.mark_text(align="right", baseline="bottom", dy=-3).encode(x=alt.value(WIDTH - 4), y=y, text="name:N"),
        ]
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    return svg(chart, id=ID, title=TITLE, description=_says(view, curves))
