"""Which kind of endpoint and which model is cheapest at which volume, and where they cross."""

from __future__ import annotations

import altair as alt
import msgspec

from cost_model.components import dollars
from cost_model.report.charts.draw import HEIGHT, MUTED, PALETTE, WIDTH, data, svg
from cost_model.report.charts.draw import lines as draw_lines
from cost_model.report.charts.scales import log_axis, log_domain
from cost_model.report.figure import Figure, Source, Table, in_words, money, number, text
from cost_model.report.kinds import KINDS
from cost_model.report.view import View
from cost_model.report.volumes import Cheapest, Selection
from rerank_toolkit.console import Column

COLUMNS = (Column("Requests a month", "right"), Column("Line"), Column("$ a month", "right"), Column("Cheapest option"))
METHOD = Source(
    "Method",
    "at each volume the options are sized and priced anew, the workload otherwise the same; only those within its "
    "limits count, so what waits for cold starts drops out where requests are rare; where one way becomes cheaper than "
    "another is found to the request, and drawn between the volumes in the table",
)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    colour: str
    selection: Selection
    points: tuple[tuple[float, Cheapest], ...]
    """Requests a month, and what is cheapest there."""


def kinds(view: View) -> Figure:
    """The cheapest of each kind, for the chosen model."""
    alias = view.chosen.model.alias if view.chosen else ""
    lines = [
        _line(view, kind.label, kind.colour, Selection(model=alias, kind=key)) for key, kind in KINDS.items() if alias
    ]
    lines = [line for line in lines if line.points]
    says = _cheapest(view)
    title = f"Break-even of {alias} by kind of endpoint" if alias else "Break-even by kind of endpoint"
    return _figure(view, "break-even", title, lines, says)


def models(view: View) -> Figure:
    """The cheapest of any kind, for each model that is followed."""
    present = dict.fromkeys(one.model for volume in view.volumes for one in volume.cheapest)
    lines = [
        _line(view, alias, colour, Selection(model=alias)) for alias, colour in zip(present, PALETTE, strict=False)
    ]
    says = _savings(view, lines) or "No model keeps the limits at the workload's own volume."
    return _figure(view, "models-volume", "Cost of models over volume", lines, says)


def _cheapest(view: View) -> str:
    """Which way is the cheapest from where to where."""
    if not view.spans:
        return "There is no chosen model to follow."
    parts = [f"{span.cheapest or 'nothing within the limits'} up to {span.last:,}" for span in view.spans]
    first = f"Cheapest of what is to be deployed in {view.regions[0]}, from {view.spans[0].first:,} requests a month: "
    return f"{first}{', '.join(parts)}."


def _line(view: View, name: str, colour: str, selection: Selection) -> Line:
    points = tuple(
        (volume.requests_per_month, found) for volume in view.volumes if (found := volume.of(selection)) is not None
    )
    return Line(name=name, colour=colour, selection=selection, points=points)


def _savings(view: View, lines: list[Line]) -> str:
    """What each model costs at the workload's own volume, and how much less that is than the dearest."""
    now = [(line.name, point) for line in lines for volume, point in line.points if volume == view.requests_per_month]
    if not now:
        return ""
    now.sort(key=lambda named: named[1].monthly_cost, reverse=True)
    (dearest, most), *rest = now
    parts = [f"{dearest} costs {dollars(most.monthly_cost)} a month"]
    parts += [
        f"{name} {dollars(point.monthly_cost)} ({1 - point.monthly_cost / most.monthly_cost:.0%} less)"
        for name, point in rest
    ]
    return f"At the workload's {in_words(view.requests_per_month)} requests a month {', '.join(parts)}."


def _figure(view: View, id: str, title: str, lines: list[Line], says: str) -> Figure:
    return Figure(
        id=id,
        title=title,
        says=says,
        sources=(view.price_source, view.speed_source, METHOD),
        missing=() if lines else ("no option keeps the limits",),
        svg=_draw(view, id, title, lines, says) if lines else "",
        table=Table(
            title=title,
            columns=COLUMNS,
            rows=tuple(
                (number(volume, ",.3g"), text(line.name), money(point.monthly_cost), text(point.label))
                for line in lines
                for volume, point in line.points
            ),
        ),
    )


def _draw(view: View, id: str, title: str, lines: list[Line], says: str) -> str:
    now = view.requests_per_month
    volumes = [volume for line in lines for volume, _ in line.points]
    costs = [float(point.monthly_cost) for line in lines for _, point in line.points]
    x_axis, x_scale = log_axis("requests a month", log_domain([*volumes, now], padding=1.05), format="~s")
    y_axis, y_scale = log_axis("US$ a month", log_domain(costs), format=",~g")
    x, y = alt.X("volume:Q", axis=x_axis, scale=x_scale), alt.Y("cost:Q", axis=y_axis, scale=y_scale)
    drawn = draw_lines(
        [
            {"line": line.name, "volume": volume, "cost": float(point.monthly_cost)}
            for line in lines
            for volume, point in line.points
        ],
        x,
        y,
        names=[line.name for line in lines],
        colours=[line.colour for line in lines],
    )
    workload = alt.Chart(data([{"volume": now, "name": "workload"}]))
    chart = alt.layer(
        drawn,
        workload.mark_rule(color=MUTED, strokeDash=[3, 3]).encode(x=x),
        workload.mark_text(align="left", baseline="bottom", dx=4).encode(x=x, y=alt.value(12), text="name:N"),
    ).properties(width=WIDTH, height=HEIGHT)
    return svg(chart, id=id, title=title, description=says)
