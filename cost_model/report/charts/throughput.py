"""Speed against quality: the documents that are scored in 50 ms, as measured, by BEIR and by hit rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import altair as alt
import msgspec

from cost_model.report.charts.draw import MUTED, data, svg
from cost_model.report.charts.scales import LINE, linear_axis, linear_domain, log_axis, log_domain, spread
from cost_model.report.figure import Cell, Figure, Source, Table, number, text
from cost_model.report.view import View
from cost_model.service_time import MeasuredModel
from rerank_toolkit.catalog.models import Model, Quality, load_models
from rerank_toolkit.console import Column

ID, TITLE = "throughput-quality", "Throughput against quality"

COLUMNS = (
    Column("Model"),
    Column("Documents in 50 ms", "right"),
    Column("Documents a second", "right"),
    Column("BEIR nDCG@10", "right"),
    Column("RAG hit rate", "right"),
    Column("Engine"),
    Column("Machine"),
    Column("Measured"),
    Column("Weights"),
)

PANEL_WIDTH, PANEL_HEIGHT = 220, 300

Panel = alt.LayerChart | alt.FacetChart


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A model with the profile that tells most of how it is deployed."""

    model: Model
    one: MeasuredModel

    @property
    def documents_per_50_ms(self) -> float:
        return self.one.profile.documents_per_50_ms


def figure(view: View) -> Figure:
    found = best_profiles(view)
    known = [one for one in found if one.model.quality]
    profiled = {one.model.id for one in found}
    requests = sorted({one.one.profile.workload for one in found})
    return Figure(
        id=ID,
        title=TITLE,
        says=_says(known),
        sources=(view.profile_source, *(Source("Requests", request) for request in requests), view.published_source),
        missing=(
            *(f"{model.alias}: no published quality is known of it" for model in view.models if not model.quality),
            *(f"{model.alias}: no profile of it was measured" for model in view.models if model.id not in profiled),
        ),
        svg=_draw(known) if known else "",
        table=Table(title=TITLE, columns=COLUMNS, rows=tuple(_cells(one) for one in found)),
    )


def best_profiles(view: View) -> list[Measured]:
    """Of each model that is shown the profile on a CPU in the engine deployed there, of most threads, the newest."""

    def rank(one: MeasuredModel) -> tuple[bool, bool, int, float]:
        profile = one.profile
        return (
            profile.hardware.gpu is None,
            profile.engine == "openvino",
            profile.threads,
            profile.measured_at.timestamp(),
        )

    best = {one.profile.model_id: one for one in sorted(view.measured, key=rank)}
    shown = {model.id for model in view.models}
    return [
        Measured(model=model, one=best[model_id])
        for model_id, model in load_models().items()
        if model_id in best and model_id in shown
    ]


def _cells(found: Measured) -> tuple[Cell, ...]:
    profile, quality = found.one.profile, found.model.quality
    place = "one GPU" if profile.hardware.gpu else f"{profile.threads} threads"
    return (
        text(found.model.alias),
        number(profile.documents_per_50_ms, ",.1f"),
        number(profile.documents_per_second, ",.1f"),
        number(quality.beir_ndcg_at_10 if quality else None, ".2f"),
        number(quality.rag_hit_rate if quality else None, ".4f"),
        text(f"{profile.engine} {profile.dtype}"),
        text(f"{found.one.machine}, {place}"),
        text(f"{profile.measured_at:%Y-%m-%d}"),
        text("seeded: good for speed alone" if profile.seeded else "genuine"),
    )


def _says(known: Sequence[Measured]) -> str:
    if not known:
        return "No model of a published quality was measured."
    fastest = max(known, key=lambda one: one.documents_per_50_ms)
    best = max(known, key=lambda one: one.model.quality.beir_ndcg_at_10 if one.model.quality else 0.0)
    if fastest is best:
        return f"{best.model.alias} is both the fastest and the best."
    return (
        f"{fastest.model.alias} is the fastest with {fastest.documents_per_50_ms:.1f} documents in 50 ms; "
        f"{best.model.alias}, the best, scores {best.documents_per_50_ms:.1f}."
    )


def _draw(known: Sequence[Measured]) -> str:
    panels = (
        _panel(known, "BEIR nDCG@10, published", ".0f", lambda quality: quality.beir_ndcg_at_10),
        _panel(known, "RAG hit rate, published", ".2f", lambda quality: quality.rag_hit_rate),
    )
    return svg(alt.hconcat(*panels, spacing=24), id=ID, title=TITLE, description=_says(known))


def _panel(known: Sequence[Measured], title: str, format: str, read: Callable[[Quality], float]) -> Panel:
    scores = {one.model.alias: read(one.model.quality) for one in known if one.model.quality}
    speeds = {one.model.alias: one.documents_per_50_ms for one in known}
    low, high = linear_domain(list(scores.values()))
    x_axis, x_scale = log_axis("documents in 50 ms", log_domain(list(speeds.values())), format="~g", most=6)
    y_axis, y_scale = linear_axis(title, (low, high), format=format)
    in_pixels = [(high - score) / (high - low) * PANEL_HEIGHT for score in scores.values()]
    moved = spread(in_pixels, LINE, LINE / 2, PANEL_HEIGHT - LINE / 2)
    chart = alt.Chart(
        data(
            [
                {
                    "model": alias,
                    "speed": speeds[alias],
                    "quality": scores[alias],
                    "at": high - place / PANEL_HEIGHT * (high - low),
                    "says": f"{alias}: {speeds[alias]:.1f} documents in 50 ms, {title} {scores[alias]:g}",
                }
                for alias, place in zip(scores, moved, strict=True)
            ]
        )
    )
    x, y = alt.X("speed:Q", axis=x_axis, scale=x_scale), alt.Y("quality:Q", axis=y_axis, scale=y_scale)
    name_at = alt.Y("at:Q", axis=y_axis, scale=y_scale)
    to_name = chart.mark_rule(color=MUTED, strokeWidth=0.75, strokeDash=[2, 2])
    layers = (
        to_name.encode(x=x, x2=alt.value(PANEL_WIDTH + 2), y=y),
        to_name.encode(x=alt.value(PANEL_WIDTH + 2), x2=alt.value(PANEL_WIDTH + 14), y=y, y2="at:Q"),
        chart.mark_point(filled=True, opacity=1, size=90, color="var(--blue)").encode(x=x, y=y, description="says:N"),
        chart.mark_text(align="left", baseline="middle").encode(
            x=alt.value(PANEL_WIDTH + 18), y=name_at, text="model:N"
        ),
    )
    return alt.layer(*layers).properties(width=PANEL_WIDTH, height=PANEL_HEIGHT)
