"""Where ways to run a model cross, as JSON and as tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from cost_model.breakeven import Breakeven, ModelBreakeven, Point
from cost_model.components import cents, plain
from cost_model.crossings import Span
from cost_model.prices.book import PriceBook
from cost_model.report.compare import place
from cost_model.report.estimate import prices_document
from rerank_toolkit import __version__
from rerank_toolkit.console import Column

COLUMNS = (
    Column("Model"),
    Column("Among"),
    Column("from requests/month", "right"),
    Column("to", "right"),
    Column("cheapest"),
    Column("on"),
    Column("$/month at first", "right"),
    Column("at last", "right"),
)

SAVING_COLUMNS = (
    Column("at requests/month", "right"),
    Column("Model"),
    Column("$/month", "right"),
    Column("instead of", "right"),
    Column("saves", "right"),
)


def breakeven_document(found: Breakeven, prices: PriceBook) -> dict[str, Any]:
    """Money in decimal strings; a span is of requests a month, both ends included."""
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "currency": prices.header.currency,
        "region": found.region,
        "prices": prices_document(prices, found.region),
        "workload": msgspec.to_builtins(found.workload),
        "models": [
            {
                "model": one.model.id,
                "on_sagemaker": [_span_document(one, span) for span in one.spans],
                "with_others": [_span_document(one, span) for span in one.with_others],
                "never_within_limits": one.never,
            }
            for one in found.models
        ],
        "savings": [
            {
                "requests_per_month": saving.requests_per_month,
                "model": saving.model.id,
                "over": saving.over.id,
                "monthly_cost": plain(saving.cost),
                "monthly_cost_over": plain(saving.cost_over),
                "saved": plain(saving.cost_over - saving.cost),
                "share": round(saving.share, 6),
            }
            for saving in found.savings
        ],
    }


def breakeven_rows(found: Breakeven) -> list[tuple[str, ...]]:
    """Rows under COLUMNS; the ways outside SageMaker are shown where they change anything."""
    rows = []
    for one in found.models:
        rows += [_row(one, "SageMaker", span) for span in one.spans]
        if [span.cheapest for span in one.with_others] != [span.cheapest for span in one.spans]:
            rows += [_row(one, "all", span) for span in one.with_others]
    return rows


def saving_rows(found: Breakeven) -> list[tuple[str, ...]]:
    """Rows under SAVING_COLUMNS."""
    return [
        (
            f"{saving.requests_per_month:,}",
            saving.model.alias,
            cents(saving.cost),
            f"{cents(saving.cost_over)} ({saving.over.alias})",
            f"{saving.share:.0%}",
        )
        for saving in found.savings
    ]


def breakeven_notes(found: Breakeven) -> list[str]:
    lines = [
        "Each way costs what its cheapest host within the limits costs at that volume; edges are exact to the request.",
        "async is named where it saves at least a hundredth: its callers have to fetch their answers.",
        "The week's course and the sizes of requests are the workload's, whatever the volume.",
    ]
    lines += [
        f"{one.model.alias} never keeps the limits in these ways: {', '.join(one.never)}"
        for one in found.models
        if one.never
    ]
    return lines


def _span_document(one: ModelBreakeven, span: Span) -> dict[str, Any]:
    return {
        "first": span.first,
        "last": span.last,
        "cheapest": span.cheapest,
        "at_first": _point_document(one.points.get((span.cheapest or "", span.first))),
        "at_last": _point_document(one.points.get((span.cheapest or "", span.last))),
    }


def _point_document(point: Point | None) -> dict[str, Any] | None:
    if point is None:
        return None
    return {
        "monthly_cost": plain(point.cost),
        "mode": point.mode,
        **point.candidate.host.option,
        "engine": point.candidate.engine,
        "dtype": point.candidate.dtype,
        "count": point.sizing.count,
        "p95_ms": round(point.sizing.p95 * 1000, 2),
    }


def _row(one: ModelBreakeven, among: str, span: Span) -> tuple[str, ...]:
    first, last = (one.points.get((span.cheapest or "", edge)) for edge in (span.first, span.last))
    places = [place(point.mode, point.candidate.host) for point in (first, last) if point is not None]
    return (
        one.model.alias,
        among,
        f"{span.first:,}",
        f"{span.last:,}",
        span.cheapest or "none within the limits",
        " … ".join(dict.fromkeys(places)),
        "" if first is None else cents(first.cost),
        "" if last is None else cents(last.cost),
    )
