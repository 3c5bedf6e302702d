"""The report as one HTML file that needs nothing else: no network, no script to be read, no font."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from markupsafe import Markup

from cost_model.components import dollars
from cost_model.prices.age import OLD_DAYS
from cost_model.report.charts import bill, breakeven, latency, memory, quality, throughput
from cost_model.report.figure import Figure
from cost_model.report.tables import assumption_table, option_table, profile_table, workload_table
from cost_model.report.template import load_template, read_asset
from cost_model.report.view import View
from rerank_toolkit import __version__

FIGURES: tuple[Callable[[View], Figure], ...] = (
    quality.figure,
    throughput.figure,
    latency.figure,
    bill.figure,
    breakeven.kinds,
    breakeven.models,
    memory.figure,
)
"""In the order of the page."""


def draw_figures(view: View) -> list[Figure]:
    return [figure(view) for figure in FIGURES]


def page(view: View, figures: list[Figure]) -> str:
    """The whole page. Text is escaped; only drawings, style and script, all of them ours, go in as they are."""
    script = read_asset("page.js")
    return load_template("page.html.j2").render(
        view=view,
        figures=[(figure, Markup(figure.svg)) for figure in figures],
        workload=workload_table(view.workload),
        profiles=profile_table(view.measured),
        assumptions=assumption_table(),
        options=option_table(view),
        dollars=dollars,
        old_days=OLD_DAYS,
        version=__version__,
        style=Markup(read_asset("palette.css") + read_asset("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def picture(figure: Figure) -> str:
    """A drawing as an SVG file of its own, light or dark as who looks at it prefers."""
    palette = f"<style>{read_asset('palette.css')}svg{{background:var(--paper)}}</style>"
    head, tag, rest = figure.svg.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"{tag}{palette}{rest}\n'
