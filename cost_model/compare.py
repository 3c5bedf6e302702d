"""All candidates sized, timed and priced for one workload, and the one to take.

Times are in ms, rounded to 0.01; money is exact but for the costs per document and per query, which are rounded
to 4 decimals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec
import numpy as np

from cost_model.components import MONTH_HOURS, Component, component, dollars, is_complete, total
from cost_model.options import Candidate, LeftOut
from cost_model.prices.book import PriceBook, Unknown
from cost_model.queueing import Array
from cost_model.sizing import Sizing, size
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import load_limits

GB = 1_000_000_000


class Option(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A candidate with its figures for the workload."""

    candidate: Candidate
    count: int
    """Instances, or the concurrency to allow."""
    monthly_cost: Decimal
    complete: bool
    """False where a minor line is unpriced: the cost is then a lower bound."""
    cost_per_million_documents: Decimal
    cost_per_thousand_queries: Decimal
    documents_per_second: float
    """When saturated."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    utilisation: float
    components: list[Component]
    pareto: bool = False
    """No other option is at least as cheap, as fast at p95 and as good, and better in one of them."""
    chosen: bool = False

    @property
    def label(self) -> str:
        return f"{self.candidate.model.alias} on {self.count} × {self.candidate.host.label}"

    @property
    def dollars_a_month(self) -> str:
        return f"{dollars(self.monthly_cost, complete=self.complete)} a month"

    @property
    def quality(self) -> float | None:
        published = self.candidate.model.quality
        return published.beir_ndcg_at_10 if published else None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    workload: Workload
    region: str
    options: list[Option]
    """Cheapest first, the faster of equals before."""
    left_out: list[LeftOut]
    chosen: Option | None
    runner_up: Option | None
    reason: str


def compare(
    candidates: Sequence[Candidate],
    workload: Workload,
    prices: PriceBook,
    region: str,
    left_out: Sequence[LeftOut] = (),
) -> Comparison:
    """Ranks the candidates: cheapest that meets the workload's limits, the faster of equals."""
    options, too_busy = _options(candidates, workload, prices, region)
    options.sort(key=lambda option: (option.monthly_cost, option.p95_ms))
    options = [
        msgspec.structs.replace(option, pareto=bool(flag))
        for option, flag in zip(options, pareto_front(options), strict=True)
    ]
    meeting = [at for at, option in enumerate(options) if meets(option, workload)]
    if meeting:
        options[meeting[0]] = msgspec.structs.replace(options[meeting[0]], chosen=True)
    chosen, runner_up, *_ = [*(options[at] for at in meeting[:2]), None, None]
    return Comparison(
        workload=workload,
        region=region,
        options=options,
        left_out=[*left_out, *too_busy],
        chosen=chosen,
        runner_up=runner_up,
        reason=_reason(chosen, runner_up, workload) if chosen else _why_none(options, workload),
    )


def meets(option: Option, workload: Workload) -> bool:
    """Whether the option keeps all limits of the workload."""
    return is_fast(option, workload) and is_good(option, workload)


def is_fast(option: Option, workload: Workload) -> bool:
    return workload.max_p95_ms is None or option.p95_ms <= workload.max_p95_ms


def is_good(option: Option, workload: Workload) -> bool:
    """An unknown quality meets no floor."""
    return workload.min_quality is None or (option.quality is not None and option.quality >= workload.min_quality)


def pareto_front(options: Sequence[Option]) -> Array:
    """For each option whether none is better in cost, p95 or quality and worse in none; unknown quality is least."""
    figures = np.array(
        [[float(option.monthly_cost), option.p95_ms, -(option.quality or 0.0)] for option in options]
    ).reshape(-1, 3)
    front = np.ones(len(figures), dtype=bool)
    for at, row in enumerate(figures):
        front[at] = not ((figures <= row).all(axis=1) & (figures < row).any(axis=1)).any()
    return front


def _options(
    candidates: Sequence[Candidate], workload: Workload, prices: PriceBook, region: str
) -> tuple[list[Option], list[LeftOut]]:
    options: list[Option] = []
    left_out: list[LeftOut] = []
    for candidate, sizing in zip(candidates, size(candidates, workload), strict=True):
        if why := _too_much(candidate, sizing):
            left_out.append(LeftOut(option={"model": candidate.model.id, **candidate.host.option}, why=why))
        else:
            options.append(_option(candidate, sizing, workload, prices, region))
    return options, left_out


def _too_much(candidate: Candidate, sizing: Sizing) -> Unknown | None:
    """Why the endpoint can't carry the load, if so."""
    most = load_limits().serverless.max_concurrency
    if candidate.host.mode == "serverless" and sizing.count > most:
        return Unknown(f"would need more than the {most} concurrent requests that a serverless endpoint takes")
    timeout_s = candidate.host.limits.timeout_s
    if sizing.p95 > timeout_s:
        return Unknown(
            f"its p95 is {sizing.p95:.0f} s; {candidate.host.mode} ends a request after {timeout_s} s",
            "its p95 is beyond the endpoint's time limit",
        )
    return None


def _option(candidate: Candidate, sizing: Sizing, workload: Workload, prices: PriceBook, region: str) -> Option:
    requests = _requests(workload)
    components = [
        *_compute_lines(candidate, sizing, workload, prices, region),
        *_data_lines(workload, prices, region),
    ]
    cost = total(components)
    return Option(
        candidate=candidate,
        count=sizing.count,
        monthly_cost=cost,
        complete=is_complete(components),
        cost_per_million_documents=_rounded(cost / (requests * workload.documents_per_request) * 1_000_000),
        cost_per_thousand_queries=_rounded(cost / requests * 1000),
        documents_per_second=round(sizing.count * workload.documents_per_request / sizing.compute, 2),
        p50_ms=round(sizing.p50 * 1000, 2),
        p95_ms=round(sizing.p95 * 1000, 2),
        p99_ms=round(sizing.p99 * 1000, 2),
        utilisation=round(sizing.utilisation, 4),
        components=components,
    )


def _compute_lines(
    candidate: Candidate, sizing: Sizing, workload: Workload, prices: PriceBook, region: str
) -> list[Component]:
    host = candidate.host
    if host.mode == "serverless":  # billed by the millisecond
        billed_ms = math.ceil((sizing.compute + sizing.around) * 1000 - 1e-9)
        seconds = _requests(workload) * billed_ms / 1000
        return [component(f"Processing, {host.memory_mb} MB", seconds, host.rate)]
    lines = [component(f"Hosting, {host.label}", Decimal(sizing.count * MONTH_HOURS), host.rate)]
    if workload.storage_gb_per_instance:
        volume = sizing.count * Decimal(str(workload.storage_gb_per_instance))
        rate = prices.rate(region, "sagemaker", "endpoint-storage")
        lines.append(component("Endpoint storage", volume, rate, unit="GB-month"))
    return lines


def _data_lines(workload: Workload, prices: PriceBook, region: str) -> list[Component]:
    sizes = (("Data in", "data-in", workload.request_bytes), ("Data out", "data-out", workload.response_bytes))
    return [
        component(
            title,
            _requests(workload) * Decimal(str(size_bytes)) / GB,
            prices.rate(region, "sagemaker", name),
            unit="GB",
        )
        for title, name, size_bytes in sizes
    ]


def _requests(workload: Workload) -> Decimal:
    """In a month."""
    return Decimal(str(workload.requests_per_second)) * MONTH_HOURS * 3600


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.0001"), ROUND_HALF_UP)


def _reason(chosen: Option, runner_up: Option | None, workload: Workload) -> str:
    unlimited = workload.max_p95_ms is None and workload.min_quality is None
    if runner_up is None:
        return "the only option" if unlimited else "the only one within the limits"
    praise = "cheapest" if unlimited else "cheapest within the limits"
    return (
        f"{praise}; next is {runner_up.label} for {runner_up.dollars_a_month} at a p95 of {runner_up.p95_ms:,.0f} ms "
        f"against {chosen.p95_ms:,.0f} ms"
    )


def _why_none(options: Sequence[Option], workload: Workload) -> str:
    if not options:
        return "no option has a price, a speed and the memory"
    reasons = []
    if workload.max_p95_ms is not None and not any(option.p95_ms <= workload.max_p95_ms for option in options):
        best = min(option.p95_ms for option in options)
        reasons.append(f"the fastest has a p95 of {best:,.0f} ms, the limit is {workload.max_p95_ms:g} ms")
    known = [option.quality for option in options if option.quality is not None]
    if workload.min_quality is not None and not any(quality >= workload.min_quality for quality in known):
        best_quality = (
            f"the best has a published BEIR nDCG@10 of {max(known):g}" if known else "none has a published quality"
        )
        reasons.append(f"{best_quality}, the floor is {workload.min_quality:g}")
    return "; ".join(reasons) or "no option meets the limit on p95 and the floor of quality together"
