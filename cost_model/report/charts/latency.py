"""What load does to the response time of the options looked at closely, from idle to full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt
import msgspec
import numpy as np

from cost_model.report.charts.draw import HEIGHT, INK, MUTED, PALETTE, WIDTH, data, lines, svg
from cost_model.report.charts.scales import log_axis, log_domain
from cost_model.report.figure import Cell, Figure, Source, Table, number, text
from cost_model.report.load import BUSIEST, Curve, capacity, load_curve
from cost_model.report.simulated import REQUESTS, SimulatedLoad, simulate_loads
from cost_model.report.view import Row, View
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.console import Column

ID, TITLE = "latency-load", "Latency against load"

POINTS, EVERY = 61, 4
"""Of a curve, and of those the ones in the table."""


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """An option over loads, in closed form and simulated."""

    row: Row
    curve: Curve
    simulated: tuple[SimulatedLoad, ...]
    colour: str


def figure(view: View) -> Figure:
    followed = _follow(view)
    drawn = {id(one.row) for one in followed}
    percentile = f"p{view.workload.slo_percentile:g}"
    columns = (
        Column("Option"),
        Column("Requests/s", "right"),
        Column("How"),
        Column("p50 ms", "right"),
        Column("p95 ms", "right"),
        Column("p99 ms", "right"),
        Column(f"{percentile} ms simulated", "right"),
        Column("95 % interval"),
        Column("Refused", "right"),
    )
    return Figure(
        id=ID,
        title=TITLE,
        says=_says(view, followed),
        sources=(
            view.speed_source,
            Source(
                "Lines",
                "closed forms of machines that share their time, at the count shown (of what is autoscaled at its "
                f"most), up to {BUSIEST:.0%} busy and {load_limits().realtime.timeout_s} s, after which requests are "
                "ended; serverless up to the concurrency shown, without cold starts",
            ),
            Source(
                "Points",
                f"simulated with the container's own scheduler, {REQUESTS:,} requests each, with 95 % intervals; what "
                "is refused has no answer",
            ),
        ),
        missing=tuple(
            f"{row.label}: its delay under load has no closed form" for row in view.contenders if id(row) not in drawn
        ),
        svg=_draw(view, followed) if followed else "",
        table=Table(title=TITLE, columns=columns, rows=tuple(cells for one in followed for cells in _cells(one))),
    )


def _follow(view: View) -> list[Followed]:
    """From a tenth of the least of the busiest rate and the capacities, up to each one's capacity."""
    most = [(row, carried) for row in view.contenders if (carried := capacity(row.option))]
    least = min((view.workload.peak_rate, *(carried for _, carried in most))) / 10
    return [
        Followed(
            row=row,
            curve=load_curve(row.option, np.geomspace(least, carried, POINTS)),
            simulated=tuple(simulate_loads(row.option)),
            colour=colour,
        )
        for (row, carried), colour in zip(most, PALETTE, strict=False)
    ]


def _cells(one: Followed) -> Iterator[tuple[Cell, ...]]:
    curve, nothing = one.curve, Cell("")
    for at in range(0, POINTS, EVERY):
        yield (
            text(one.row.label),
            number(curve.rates[at], ",.3g"),
            text("closed form"),
            number(curve.p50_ms[at]),
            number(curve.p95_ms[at]),
            number(curve.p99_ms[at]),
            nothing,
            nothing,
            nothing,
        )
    for load in one.simulated:
        yield (
            text(one.row.label),
            number(load.rate, ",.3g"),
            text("simulated"),
            nothing,
            nothing,
            nothing,
            number(load.ms),
            text(f"{load.low_ms:,.0f} to {load.high_ms:,.0f}"),
            number(load.refused, ".2%"),
        )


def _says(view: View, followed: Sequence[Followed]) -> str:
    limit = view.workload.slo_ms
    if not followed:
        return "There is no option to follow."
    if limit is None:
        return "The workload sets no limit on the response time."
    parts = []
    for one in followed:
        within = one.curve.rates[one.curve.limited_ms <= limit]
        kept = f"up to {within.max():,.3g} requests a second" if len(within) else "at no load"
        parts.append(f"{one.row.label} {kept}")
    return f"A p{view.workload.slo_percentile:g} of at most {limit:g} ms is kept by {'; by '.join(parts)}."


def _draw(view: View, followed: Sequence[Followed]) -> str:
    rate, limit = view.workload.peak_rate, view.workload.slo_ms
    when = "workload" if rate == view.workload.mean_rate else "busiest hour"
    percentile = f"p{view.workload.slo_percentile:g}"
    rates = [float(one.curve.rates[at]) for one in followed for at in (0, -1)]
    longest = load_limits().realtime.timeout_s * 1000
    times = [min(float(one.curve.limited_ms[at]), longest) for one in followed for at in (0, -1)]
    times += [ms for one in followed for load in one.simulated for ms in (load.low_ms, load.high_ms)]
    x_axis, x_scale = log_axis("requests a second", log_domain([*rates, rate], padding=1.05), format="~g")
    y_axis, y_scale = log_axis(
        f"{percentile} of the response time, ms", log_domain([*times, *([limit] if limit else [])]), format=",~g"
    )
    x, y = alt.X("rate:Q", axis=x_axis, scale=x_scale), alt.Y("ms:Q", axis=y_axis, scale=y_scale)
    drawn = lines(
        [
            {"line": one.row.label, "rate": float(at), "ms": float(ms)}
            for one in followed
            for at, ms in zip(one.curve.rates, one.curve.limited_ms, strict=True)
            if ms <= longest
        ],
        x,
        y,
        names=[one.row.label for one in followed],
        colours=[one.colour for one in followed],
    )
    load = alt.Chart(data([{"rate": rate, "name": f"{when} {rate:.3g}/s"}]))
    layers = [
        drawn,
        *(layer for one in followed for layer in _points(one, x, y)),
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
    return svg(chart, id=ID, title=TITLE, description=_says(view, followed))


def _points(one: Followed, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The simulated percentiles with their intervals."""
    if not one.simulated:
        return []
    chart = alt.Chart(
        data(
            [
                {
                    "rate": load.rate,
                    "ms": load.ms,
                    "low": load.low_ms,
                    "high": load.high_ms,
                    "says": f"{one.row.label} simulated at {load.rate:,.3g} requests a second: {load.ms:,.0f} ms",
                }
                for load in one.simulated
            ]
        )
    )
    low = alt.Y("low:Q", axis=y["axis"], scale=y["scale"])
    return [
        chart.mark_rule(color=one.colour, strokeWidth=2).encode(x=x, y=low, y2="high:Q"),
        chart.mark_point(filled=True, opacity=1, size=45, color=one.colour).encode(x=x, y=y, description="says:N"),
    ]
