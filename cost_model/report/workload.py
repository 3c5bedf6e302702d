"""A workload's figures, as rows and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cost_model.workload import Reading, Workload
from cost_model.workload.week import hour_name
from cost_model.workload.workload import TOLERANCE
from rerank_toolkit import __version__
from rerank_toolkit.console import Column

COLUMNS = (Column("What"), Column("Figure", "right"), Column("Unit"), Column("How it is known"))

SHARES = (50, 95, 99)
MOST_DRAWN = 20_000
"""Requests that percentiles of sizes are read off."""
MOST_PAIRS = 2_000_000
LEAST_DRAWN = 200
SEED = 0

STATED = "stated"
"""By the file, or by its default."""


class Figure(msgspec.Struct, frozen=True):
    name: str
    value: float | None
    """None: there is none, and the unit says what that means."""
    unit: str
    basis: str


def workload_figures(workload: Workload, reading: Reading) -> list[Figure]:
    """Rates, sizes and limits, in the order of a guide. Percentiles are of drawn requests, with a fixed seed."""
    return [*_rate_figures(workload, reading), *_size_figures(workload), *_limit_figures(workload)]


def workload_row(figure: Figure, *, full: bool = False) -> tuple[str, str, str, str]:
    """Under COLUMNS; with `full` the whole basis."""
    value = "–" if figure.value is None else _shown(figure.value)
    return (figure.name, value, figure.unit, figure.basis if full else figure.basis.partition(", ")[0])


def reading_lines(reading: Reading) -> list[str]:
    """What was measured, in words."""
    lines = []
    if trace := reading.trace:
        lines.append(
            f"trace {Path(trace.path).name}: {trace.requests:,.0f} requests from {trace.begin:%Y-%m-%d %H:%M} to "
            f"{trace.end:%Y-%m-%d %H:%M} UTC, in {trace.covered_hours} of the week's {len(trace.hours)} hours"
        )
    if sample := reading.sample:
        lines.append(f"sample {Path(sample.path).name}: {sample.measured:,} requests, tokens {sample.basis}")
    return lines


def workload_document(workload: Workload, reading: Reading, figures: list[Figure], *, month: int = 0) -> dict[str, Any]:
    """The workload as it is computed with, the figures, and the measurements of trace and sample."""
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "month": month,
        "workload": workload,
        "figures": figures,
        "trace": reading.trace,
        "sample": reading.sample,
        "notes": reading.notes,
    }


def _basis(workload: Workload, field: str, otherwise: str = STATED) -> str:
    return next((one.text for one in workload.basis if one.field == field), otherwise)


def _rate_figures(workload: Workload, reading: Reading) -> Iterator[Figure]:
    basis = _basis(workload, "requests_per_second")
    traffic = workload.traffic
    yield Figure("requests, mean", workload.mean_rate, "a second", basis)
    varies = workload.peak_rate > workload.mean_rate * (1 + TOLERANCE)
    busiest = f"a second, {hour_name(workload.busiest_hour)}" if varies else "a second"
    yield Figure("requests, busiest hour", workload.peak_rate, busiest, basis)
    yield Figure("requests", float(workload.requests_per_month), "a month of 730 hours", basis)
    over = f"over {traffic.dispersion_seconds} s"
    yield Figure("index of dispersion", workload.dispersion, over, _basis(workload, "dispersion"))
    for measured in reading.trace.dispersions if reading.trace else ():
        if measured.seconds != traffic.dispersion_seconds:
            told = f"measured: ± {measured.error:.2g}, not computed with"
            yield Figure("index of dispersion", measured.index, f"over {measured.seconds} s", told)
    if workload.growth:
        yield Figure("growth", workload.growth.percent_a_month, "% a month", STATED)


def _size_figures(workload: Workload) -> Iterator[Figure]:
    count = int(min(MOST_DRAWN, max(LEAST_DRAWN, MOST_PAIRS / workload.documents_per_request)))
    drawn = workload.draw(np.random.default_rng(SEED), count)
    sums = np.add.reduceat(drawn.tokens, drawn.offsets[:-1])
    of_documents = _basis(workload, "documents_per_request")
    of_tokens = _basis(workload, "tokens_per_document")
    known = "an assumed" if _basis(workload, "tokens_cv").startswith("assumed") else "a stated"
    spread = of_tokens if workload.tokens else f"lognormal with {known} cv of {workload.tokens_cv:g}"
    yield from _spread("documents", workload.documents_per_request, drawn.documents, "a request", of_documents)
    if workload.tokens:
        yield Figure("query", workload.tokens.query.average, "tokens, mean", of_tokens)
        yield Figure("document", workload.tokens.document.average, "tokens, mean", of_tokens)
        around = of_tokens if of_tokens.startswith("measured") else "assumed or stated"
        yield Figure("special tokens", float(workload.tokens.special), "tokens a pair", around)
    yield from _spread("pair", workload.tokens_per_document, drawn.tokens, "tokens", of_tokens, spread=spread)
    yield from _spread("request", workload.tokens_per_request, sums, "tokens", of_tokens, spread=spread)
    yield Figure("tokens", float(workload.tokens_per_month), "a month of 730 hours", of_tokens)
    yield Figure("request body", workload.request_bytes, "bytes, mean", _basis(workload, "bytes_per_token"))
    yield Figure("answer", workload.response_bytes, "bytes, mean", f"{workload.bytes_per_result:g} bytes a document")


def _spread(name: str, mean: float, drawn: Any, unit: str, basis: str, *, spread: str = "") -> Iterator[Figure]:
    yield Figure(name, mean, f"{unit}, mean", basis)
    if drawn.min() < drawn.max():
        for share in SHARES:
            value = float(np.percentile(drawn, share))
            yield Figure(name, value, f"{unit}, p{share}", f"drawn; {spread or basis}")


def _limit_figures(workload: Workload) -> Iterator[Figure]:
    percentile = f"p{workload.slo_percentile:g}"
    if workload.slo_ms is None:
        yield Figure("response time", None, "no limit", STATED)
    else:
        yield Figure(f"response time, {percentile}", workload.slo_ms, "ms at most", STATED)
    if workload.min_quality is not None:
        yield Figure(workload.quality_name, workload.min_quality, "at least", STATED)
    if workload.max_monthly_cost is not None:
        yield Figure("budget", float(workload.max_monthly_cost), "$ a month at most", STATED)
    yield Figure("utilisation", workload.max_utilisation * 100, "% at most", STATED)


def _shown(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"
