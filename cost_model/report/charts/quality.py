"""What quality costs: every option by its bill and its model's published BEIR score, with the front."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from cost_model.components import dollars
from cost_model.report.charts.draw import HEIGHT, INK, MUTED, WIDTH, data, svg
from cost_model.report.charts.scales import LINE, linear_axis, linear_domain, log_axis, log_domain, spread
from cost_model.report.figure import Figure, Table, money, number, text
from cost_model.report.kinds import KINDS
from cost_model.report.view import Row, View
from rerank_toolkit.console import Column

ID, TITLE = "cost-quality", "Cost against quality"

PLOT = WIDTH - 140
"""Its width; the names are beside it."""

KEY = "The line is that front, the ring the choice; faded points are beyond a limit."

COLUMNS = (
    Column("Option"),
    Column("Kind"),
    Column("$ a month", "right"),
    Column("Quality", "right"),
    Column("p95 ms", "right"),
    Column("Within limits"),
    Column("Front"),
    Column("Basis of speed"),
)


def figure(view: View) -> Figure:
    rows = [row for row in view.rows if row.quality is not None]
    front = cheapest_for_quality([row for row in rows if row.within and row.eligible])
    hidden = view.options - len(view.rows)
    missing = [*view.without_quality]
    if hidden:
        missing.append(f"{hidden} options of the same models and kinds, dearer or beyond a limit")
    if rows and not front:
        missing.append("the front: no option keeps the limits")
    return Figure(
        id=ID,
        title=TITLE,
        says=f"{_says(front, view)} {KEY}",
        sources=(view.price_source, view.speed_source, view.quality_source),
        missing=tuple(missing),
        svg=_draw(rows, front, view) if rows else "",
        table=Table(
            title=TITLE,
            columns=COLUMNS,
            rows=tuple(
                (
                    text(row.label),
                    text(KINDS[row.kind].label),
                    money(row.monthly_cost, complete=row.complete),
                    number(row.quality, ".4g"),
                    number(row.p95_ms),
                    text("yes" if row.within else "no"),
                    text("yes" if row in front else "no"),
                    text(row.known_by),
                )
                for row in rows
            ),
        ),
    )


def cheapest_for_quality(rows: Sequence[Row]) -> list[Row]:
    """Those that no other is at once as cheap and better, or cheaper and as good: dearer from one to the next.

    Of equals the faster.
    """
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.monthly_cost, -(row.quality or 0.0), row.p95_ms)):
        if not front or (row.quality or 0.0) > (front[-1].quality or 0.0):
            front.append(row)
    return front


def _says(front: Sequence[Row], view: View) -> str:
    if not front:
        return "No option of a known quality keeps the limits."
    steps = [f"{row.quality:.4g} for {dollars(row.monthly_cost, complete=row.complete)} ({row.label})" for row in front]
    return f"Within the limits, the least a month for a {view.workload.quality_name} of {'; of '.join(steps)}."


def _draw(rows: Sequence[Row], front: Sequence[Row], view: View) -> str:
    costs, scores = [float(row.monthly_cost) for row in rows], [row.quality or 0.0 for row in rows]
    x_axis, x_scale = log_axis("US$ a month", log_domain(costs), format=",.0f")
    low, high = linear_domain(scores)
    y_axis, y_scale = linear_axis(view.workload.quality_name, (low, high), format="~g")
    x, y = alt.X("cost:Q", axis=x_axis, scale=x_scale), alt.Y("quality:Q", axis=y_axis, scale=y_scale)
    kinds = [kind for kind in KINDS if any(row.kind == kind for row in rows)]
    names = [KINDS[kind].label for kind in kinds]
    points = (
        alt.Chart(
            data(
                [
                    {
                        "cost": float(row.monthly_cost),
                        "quality": row.quality,
                        "kind": KINDS[row.kind].label,
                        "limits": "within the limits" if row.within else "beyond a limit",
                        "says": f"{row.label}: {dollars(row.monthly_cost)} a month, p95 {row.p95_ms:,.0f} ms",
                    }
                    for row in rows
                ]
            )
        )
        .mark_point(filled=True, size=50)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=names, range=[KINDS[kind].colour for kind in kinds]),
                legend=alt.Legend(columns=4),
            ),
            shape=alt.Shape("kind:N", scale=alt.Scale(domain=names, range=[KINDS[kind].shape for kind in kinds])),
            opacity=alt.Opacity(
                "limits:N",
                scale=alt.Scale(domain=["within the limits", "beyond a limit"], range=[0.95, 0.25]),
                legend=None,
            ),
            description=alt.Description("says:N"),
        )
    )
    line = (
        alt.Chart(data([{"cost": float(row.monthly_cost), "quality": row.quality} for row in front]))
        .mark_line(color=INK, strokeWidth=1.5, interpolate="step-after")
        .encode(x=x, y=y, order="cost:Q")
    )
    chosen = (
        alt.Chart(data([{"cost": float(row.monthly_cost), "quality": row.quality} for row in rows if row.chosen]))
        .mark_point(filled=False, size=260, color=INK, strokeWidth=2, shape="circle")
        .encode(x=x, y=y)
    )
    layers = [line, points, chosen, *_names(rows, (low, high), y)]
    chart = alt.layer(*layers).properties(width=PLOT, height=HEIGHT)
    return svg(chart, id=ID, title=TITLE, description=_says(front, view))


def _names(rows: Sequence[Row], domain: tuple[float, float], y: alt.Y) -> list[alt.Chart]:
    """Each model's name at the right of its row of points, moved apart where rows are close, with a line to its row."""
    low, high = domain
    scores = {row.model.alias: row.quality or 0.0 for row in rows}
    in_pixels = [(high - score) / (high - low) * HEIGHT for score in scores.values()]
    moved = spread(in_pixels, LINE, LINE / 2, HEIGHT - LINE / 2)
    labels = data(
        [
            {"name": f"{alias} {score:.4g}", "quality": score, "at": high - place / HEIGHT * (high - low)}
            for (alias, score), place in zip(scores.items(), moved, strict=True)
        ]
    )
    at = alt.Y("at:Q", axis=y["axis"], scale=y["scale"])
    leader = alt.Chart(labels).mark_rule(color=MUTED, strokeWidth=0.75)
    return [
        leader.encode(x=alt.value(PLOT + 2), x2=alt.value(PLOT + 18), y=y, y2="at:Q"),
        alt.Chart(labels)
        .mark_text(align="left", baseline="middle")
        .encode(x=alt.value(PLOT + 22), y=at, text="name:N"),
    ]
