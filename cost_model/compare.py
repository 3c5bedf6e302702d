"""All candidates in all modes, sized, timed and priced for one workload, and the one to take.

Times are in ms, rounded to 0.01; money is exact but for the costs per document and per query, which are rounded
to 4 decimals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec
import numpy as np

from cost_model.bill import Biller
from cost_model.choice import choose
from cost_model.components import Component, dollars, is_complete, total
from cost_model.modes import MODES, SAGEMAKER, Mode, ModeFile, load_mode
from cost_model.options import Candidate, LeftOut
from cost_model.pareto import pareto_front
from cost_model.prices.book import PriceBook, Unknown
from cost_model.reasons import why_chosen, why_none
from cost_model.shown import Shown
from cost_model.sizing import Demand, Sizing, size_rows
from cost_model.slow_end import slow_sizings
from cost_model.verdicts import too_much
from cost_model.workload import Workload
from rerank_toolkit.contracts import usage

CENT = Decimal("0.0001")

MINOR = frozenset({"Data in", "Data out", "Endpoint storage", "Ephemeral storage"})
"""Lines without which a cost is still told, as a lower bound."""


class Option(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """A candidate in a mode and a region, with its figures for the workload."""

    candidate: Candidate
    mode: Mode
    region: str
    sizing: Sizing
    monthly_cost: Decimal
    complete: bool
    """False where a minor line is unpriced: the cost is then a lower bound."""
    components: list[Component]
    workload: Workload
    timed: str = "closed form"
    """How the response times were worked out from the speed."""
    pareto: bool = False
    """No other option is at least as cheap, as fast at p95 and as good, and better in one of them."""
    chosen: bool = False

    @property
    def count(self) -> int:
        """Instances or units in the busiest hour, or the concurrency to allow."""
        return self.sizing.count

    @property
    def p50_ms(self) -> float:
        return round(self.sizing.p50 * 1000, 2)

    @property
    def p95_ms(self) -> float:
        return round(self.sizing.p95 * 1000, 2)

    @property
    def p99_ms(self) -> float:
        return round(self.sizing.p99 * 1000, 2)

    @property
    def limited_ms(self) -> float:
        """At the percentile that the workload limits."""
        return round(self.sizing.limited * 1000, 2)

    @property
    def utilisation(self) -> float:
        return round(self.sizing.utilisation, 4)

    @property
    def headroom(self) -> float | None:
        """How much more traffic it takes before a limit breaks, as a share; None where nothing bounds it."""
        return None if math.isnan(self.sizing.headroom) else round(self.sizing.headroom, 4)

    @property
    def lasts_until(self) -> int | None:
        """The last month, as far as the workload looks, in which this size has room for the grown traffic.

        None where it doesn't grow or nothing bounds it.
        """
        growth, now = self.workload.growth, self.workload.month
        if growth is None or self.headroom is None:
            return None
        room = 1 + self.headroom
        months = range(now, max(growth.months, now) + 1)
        return max((month for month in months if growth.factor(month - now) <= room), default=now)

    @property
    def documents_per_second(self) -> float:
        """When saturated, as many as run in the busiest hour."""
        seconds = self.sizing.billed or self.sizing.work  # whoever is billed by the request takes one at a time
        return round(self.sizing.count * self.workload.documents_per_request / seconds, 2)

    @property
    def cost_per_million_documents(self) -> Decimal:
        return _rounded(self._cost_per_query / Decimal(str(self.workload.documents_per_request)) * 1_000_000)

    @property
    def cost_per_thousand_queries(self) -> Decimal:
        return _rounded(self._cost_per_query * 1000)

    @property
    def _cost_per_query(self) -> Decimal:
        return self.monthly_cost / self.workload.requests_per_month

    @property
    def label(self) -> str:
        return f"{self.candidate.model.alias} on {self.place}"

    def named(self, *, region: bool) -> str:
        """The label, with the region where there are several to choose from."""
        return f"{self.label} in {self.region}" if region else self.label

    @property
    def place(self) -> str:
        """Where and how it runs, without the model."""
        label = self.candidate.host.label
        match self.mode:
            case "autoscaled":
                return f"{self.sizing.least} to {self.count} × {label}"
            case "serverless":
                return label
            case "provisioned":
                return f"{label} with {self.count} provisioned"
            case "async":
                return f"0 to {self.count} × {label}, async"
            case "batch":
                return f"{self.count} × {label}, batch"
            case "realtime" | "fargate" | "azure-container-apps":
                return f"{self.count} × {label}"
            case _:
                return label

    @property
    def dollars_a_month(self) -> str:
        return f"{dollars(self.monthly_cost, complete=self.complete)} a month"

    @property
    def quality(self) -> float | None:
        return self.workload.quality_of(self.candidate.model)


class Comparison(Shown, msgspec.Struct, frozen=True, kw_only=True):
    workload: Workload
    regions: tuple[str, ...]
    options: list[Option]
    """Cheapest first, the faster of equals before."""
    left_out: list[LeftOut]
    chosen: Option | None
    runner_up: Option | None
    cheaper: Option | None = None
    """One passed over, for it keeps the limits only if it is as fast as expected."""
    slow_end: Option | None = None
    """The chosen one if it is as slow as it may be, sized for that; None where nothing is enough then."""
    sure: bool = True
    """Whether the chosen one keeps the limits then too; else no option does."""
    reason: str

    @property
    def region(self) -> str:
        return ", ".join(self.regions)

    def named(self, option: Option) -> str:
        """The option's label, with its region where several are compared."""
        return option.named(region=len(self.regions) > 1)


def compare(
    candidates: Sequence[Candidate],
    workload: Workload,
    prices: PriceBook,
    regions: str | Sequence[str],
    left_out: Sequence[LeftOut] = (),
    *,
    modes: Sequence[Mode] = MODES,
    refine: Callable[[Option], Option] | None = None,
) -> Comparison:
    """Ranks the candidates in these modes, and takes the cheapest that keeps the limits, of equals the faster.

    It keeps them at the slow end of its speed too, as far as any does (cost_model.choice).
    `refine` gives an option better response times than the closed forms'; what would be chosen is refined first, and
    passed over if it then breaks a limit.
    """
    asked = (regions,) if isinstance(regions, str) else tuple(regions)
    options: list[Option] = []
    not_ranked = list(left_out)
    for mode in modes:
        found, unfit = _in_mode(mode, candidates, workload, prices, asked)
        options += found
        not_ranked += unfit
    options.sort(key=lambda option: (option.monthly_cost, option.sizing.p95))
    choice = choose(options, workload, refine, price=lambda one, sizing: _resized(one, sizing, prices).monthly_cost)
    front = _front(options)
    options = [
        msgspec.structs.replace(option, pareto=flag) if flag else option
        for option, flag in zip(options, front, strict=True)
    ]
    if choice.chosen is not None:
        options[choice.chosen] = msgspec.structs.replace(options[choice.chosen], chosen=True)
    chosen, runner_up, cheaper = (
        None if at is None else options[at] for at in (choice.chosen, choice.runner_up, choice.cheaper)
    )
    (slow_sizing,) = [None] if chosen is None else slow_sizings([chosen])
    slow = None if chosen is None or slow_sizing is None else _resized(chosen, slow_sizing, prices)
    several = len(asked) > 1
    return Comparison(
        workload=workload,
        regions=asked,
        options=options,
        left_out=not_ranked,
        chosen=chosen,
        runner_up=runner_up,
        cheaper=cheaper,
        slow_end=slow,
        sure=choice.sure,
        reason=why_none(options, workload, several=several)
        if chosen is None
        else why_chosen(chosen, runner_up, cheaper, slow, workload, sure=choice.sure, several=several),
    )


def _resized(option: Option, sizing: Sizing, prices: PriceBook) -> Option:
    """The option in another size, with what that costs."""
    file, biller = load_mode(option.mode), Biller(prices, option.region, option.workload)
    (resized,) = _priced(option.mode, file, [(option.candidate, sizing)], option.workload, biller)
    return resized


def _front(options: Sequence[Option]) -> list[bool]:
    """Of what can be deployed with this toolkit; unknown quality is least."""
    ours = [at for at, option in enumerate(options) if option.mode in SAGEMAKER]
    qualities: dict[str, float] = {}
    figures = []
    for at in ours:
        option = options[at]
        model = option.candidate.model.id
        if model not in qualities:
            qualities[model] = option.quality or 0.0
        figures.append((float(option.monthly_cost), option.p95_ms, -qualities[model]))
    flags = [False] * len(options)
    for at, flag in zip(ours, pareto_front(np.array(figures).reshape(-1, 3)).tolist(), strict=True):
        flags[at] = flag
    return flags


def _in_mode(
    mode: Mode, candidates: Sequence[Candidate], workload: Workload, prices: PriceBook, regions: Sequence[str]
) -> tuple[list[Option], list[LeftOut]]:
    """The options of all regions, sized once for all of them."""
    file = load_mode(mode)
    fit: list[Candidate] = []
    refused: list[tuple[Candidate, Unknown]] = []
    for candidate in candidates:
        if candidate.host.service != file.SERVICE:
            continue
        if why := file.offered(candidate, workload):
            refused.append((candidate, why))
        else:
            fit.append(candidate)
    left_out = [_left_out(mode, candidate, why) for candidate, why in refused]
    if not fit:
        reasons = dict.fromkeys(why for _, why in refused)
        return [], [LeftOut(option={"mode": mode}, why=next(iter(reasons)))] if len(reasons) == 1 else left_out
    demand = Demand.of(fit)
    sized: list[tuple[Candidate, Sizing]] = []
    for candidate, sizing in zip(fit, size_rows(file.size(demand, workload), demand, workload), strict=True):
        why = too_much(mode, sizing)
        if why is not None or sizing is None:
            left_out.append(_left_out(mode, candidate, why or Unknown("This is a bug.")))
        else:
            sized.append((candidate, sizing))
    options: list[Option] = []
    for biller in (Biller(prices, region, workload) for region in regions):
        for option in _priced(mode, file, sized, workload, biller):
            if why := _unpriced(option):
                left_out.append(LeftOut(option={**_named(mode, option.candidate), "region": option.region}, why=why))
            else:
                options.append(option)
    return options, left_out


def _unpriced(option: Option) -> Unknown | None:
    """Why its cost says nothing, if so: only a minor line may be without a price."""
    if option.complete:
        return None
    missing = [line for line in option.components if line.cost is None and line.name not in MINOR]
    return Unknown(missing[0].basis, f"{missing[0].name.partition(',')[0]} has no known price") if missing else None


def _priced(
    mode: Mode, file: ModeFile, sized: Sequence[tuple[Candidate, Sizing]], workload: Workload, biller: Biller
) -> Iterator[Option]:
    for candidate, sizing in sized:
        if biller.region not in candidate.host.regions:
            continue
        components = biller.bill(file.use(candidate, sizing, workload))
        yield Option(
            candidate=candidate,
            mode=mode,
            region=biller.region,
            sizing=sizing,
            monthly_cost=total(components),
            complete=is_complete(components),
            components=components,
            workload=workload,
        )


def option_use(option: Option) -> list[usage.Item]:
    """What the option uses in a month, as a usage file says it."""
    return load_mode(option.mode).use(option.candidate, option.sizing, option.workload)


def _left_out(mode: Mode, candidate: Candidate, why: Unknown) -> LeftOut:
    return LeftOut(option=_named(mode, candidate), why=why)


def _named(mode: Mode, candidate: Candidate) -> dict[str, Any]:
    return {
        "model": candidate.model.id,
        "mode": mode,
        **candidate.host.option,
        "engine": candidate.engine,
        "dtype": candidate.dtype,
    }


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)
