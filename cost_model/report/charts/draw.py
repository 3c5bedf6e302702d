"""From an Altair chart to SVG that stands in a page: it scales, takes the page's colours, and says what it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import altair as alt
import vl_convert

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])

WIDTH, HEIGHT = 660, 340
INK, MUTED, GRID, PAPER = "var(--ink)", "var(--muted)", "var(--grid)", "var(--paper)"
"""Variables of palette.css."""

PALETTE = ("var(--blue)", "var(--orange)", "var(--green)", "var(--purple)", "var(--ochre)", "var(--grey)")
DASHES = ([1, 0], [7, 3], [2, 3], [10, 3, 2, 3], [5, 5], [1, 2])
"""Of lines, beside their colours."""

FONT_SIZE = 13.5
"""Text is laid out in this size and shown in 12 pixels (page.css): a browser without Arial takes a font that may be an
eighth wider than the one that is measured here."""

CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domainColor": MUTED,
        "gridColor": GRID,
        "labelColor": INK,
        "labelFontSize": FONT_SIZE,
        "tickColor": MUTED,
        "titleColor": INK,
        "titleFontSize": FONT_SIZE,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "legend": {
        "labelColor": INK,
        "labelFontSize": FONT_SIZE,
        "labelLimit": 0,
        "orient": "top",
        "symbolBaseFillColor": MUTED,
        "symbolStrokeWidth": 2,
        "title": None,
        "titleColor": INK,
    },
    "header": {"labelColor": INK, "titleColor": INK},
    "text": {"color": INK, "fontSize": FONT_SIZE},
    "rule": {"color": MUTED},
}

Values = Sequence[Mapping[str, object]]


def data(values: Values) -> alt.InlineData:
    """Rows for a chart, kept in it."""
    return alt.InlineData(values=[dict(row) for row in values])


def lines(values: Values, x: alt.X, y: alt.Y, *, names: Sequence[str], colours: Sequence[str]) -> alt.Chart:
    """A line for each name in the rows' `line`, told apart by colour and by dashes."""
    legend = alt.Legend(
        columns=2 if max(map(len, names)) > 25 else 5, symbolSize=900, symbolType="stroke"
    )  # long enough to show the dashes
    dashes = [DASHES[at % len(DASHES)] for at in range(len(names))]
    chart: alt.Chart = (
        alt.Chart(data(values))
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=y,
            color=alt.Color("line:N", scale=alt.Scale(domain=list(names), range=list(colours)), legend=legend),
            strokeDash=alt.StrokeDash("line:N", scale=alt.Scale(domain=list(names), range=dashes)),
        )
    )
    return chart


def svg(chart: alt.TopLevelMixin, *, id: str, title: str, description: str) -> str:
    """The chart as an SVG element with that title and description; `id` keeps its names apart from other charts'."""
    drawn = vl_convert.vegalite_to_svg(chart.configure(**CONFIG).to_dict(), vl_version=VEGA_LITE)
    return _embedded(ElementTree.fromstring(drawn), id, title, description)


def _embedded(root: ElementTree.Element, id: str, title: str, description: str) -> str:
    names = {name: f"{id}-{name}" for element in root.iter() if (name := element.get("id"))}
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # in HTML an <svg> needs no namespace
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            own = names[value] if key == "id" else value.replace("url(#", f"url(#{id}-")
            element.set(key.rpartition("}")[2], own)
        if element.tag == "text":
            for name in ("font-family", "font-size"):  # the page's
                element.attrib.pop(name, None)
    width = float(root.attrib.pop("width"))
    root.attrib.pop("height")
    root.attrib.pop("version", None)
    root.set("style", f"max-width:{math.ceil(width)}px")
    root.set("role", "img")
    root.set("aria-labelledby", f"{id}-title {id}-description")
    for at, (tag, content) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, {"id": f"{id}-{'title' if tag == 'title' else 'description'}"})
        element.text = content
        root.insert(at, element)
    return ElementTree.tostring(root, encoding="unicode")
