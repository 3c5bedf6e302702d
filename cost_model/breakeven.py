"""At which volumes one way to run a model becomes cheaper than another, and what smaller models save there.

A way is a group of modes. Its cost at a volume is that of the cheapest candidate that keeps the workload's limits
there; each candidate's cost only rises with the volume, so crossings are found exactly, to the request
(cost_model.crossings).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property

import msgspec
import numpy as np

from cost_model.bill import Biller
from cost_model.components import MONTH_HOURS, total
from cost_model.crossings import NEVER, Span, cheapest_spans
from cost_model.hosts import find_hosts
from cost_model.modes import OFFLINE, SAGEMAKER, Mode, load_mode
from cost_model.modes.items import data
from cost_model.options import Candidate, find_candidates
from cost_model.prices.book import PriceBook
from cost_model.question import Question
from cost_model.service_time import MeasuredModel
from cost_model.sizing import Demand, Sizing, size_rows
from cost_model.verdicts import keeps_time
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import Model

LEAST, MOST = 1_000, 100_000_000
"""Requests a month that are looked at, where the user says nothing else."""

MONTH_S = MONTH_HOURS * 3600

WAYS: Mapping[str, tuple[Mode, ...]] = {
    "real-time": ("realtime", "autoscaled"),
    "serverless": ("serverless", "provisioned"),
    "async": ("async",),
    "Lambda": ("lambda",),
    "Fargate": ("fargate",),
    "Container Apps": ("azure-container-apps",),
    "Azure Functions": ("azure-functions",),
    "Cloud Run": ("cloud-run",),
}


OURS = ("real-time", "serverless", "async")

WORTH_WAITING = Decimal("0.99")
"""An async endpoint that is hardly ever down costs what a real-time one does, and its callers have to fetch their
answers: it counts as cheaper where it saves a hundredth."""

EXACT = Decimal("0.000001")
"""Dollars. Rates are floats, so a volume's requests are exact to sixteen digits and not beyond."""

GRID = 25
"""Volumes at which it is first asked whether a limit is kept."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The cheapest of a way at a volume."""

    cost: Decimal
    candidate: Candidate
    mode: Mode
    sizing: Sizing


class Way:
    """The cost of a way to run one model, by requests a month: a curve of cost_model.crossings."""

    def __init__(
        self, modes: Sequence[Mode], candidates: Sequence[Candidate], workload: Workload, prices: PriceBook, region: str
    ) -> None:
        on_sagemaker = set(modes) <= SAGEMAKER
        data_cost = _data_per_request(workload, prices, region) if on_sagemaker else Decimal(0)
        self._handicap = 1 / WORTH_WAITING if set(modes) <= OFFLINE else Decimal(1)
        self.slope = data_cost * self._handicap
        """Dollars of what goes in and out: the same of every request in every mode that has it."""
        self._groups = [
            _Group(mode, kept, workload, Biller(prices, region, workload), data_cost)
            for mode in modes
            if (kept := _undominated(mode, candidates, workload, region))
        ]

    def at(self, volume: int) -> Point | None:
        """None where no candidate keeps the limits."""
        found = [point for group in self._groups for point in group.points(volume)]
        return min(found, key=lambda point: point.cost, default=None)

    def least(self, first: int, last: int) -> Decimal:
        return min((group.least(first, last) for group in self._groups), default=NEVER) * self._handicap

    def most(self, first: int, last: int) -> Decimal:
        return min((group.most(first, last) for group in self._groups), default=NEVER) * self._handicap


class _Group:
    """The candidates of one mode."""

    def __init__(
        self, mode: Mode, candidates: Sequence[Candidate], workload: Workload, biller: Biller, slope: Decimal
    ) -> None:
        self.mode: Mode = mode
        self._slope = slope
        self._file = load_mode(mode)
        self._candidates = candidates
        self._demand = Demand.of(candidates)
        self._workload = workload
        self._biller = biller
        self._workloads: dict[int, Workload] = {}
        self._sized: dict[int, list[Sizing | None]] = {}
        self._costs: dict[tuple[int, int], Decimal] = {}

    def points(self, volume: int) -> Iterator[Point]:
        for at, sizing in enumerate(self._sizings(volume)):
            if sizing is not None and self._keeps(at, volume):
                yield Point(cost=self._cost(at, volume), candidate=self._candidates[at], mode=self.mode, sizing=sizing)

    def parts(self, first: int, last: int) -> list[tuple[Candidate, Decimal]]:
        """Those that keep the limits somewhere between, with the least that they cost beside the straight line."""
        return [
            (self._candidates[at], self._part(at, max(first, low)))
            for at, (low, high) in self._ranges.items()
            if low <= last and first <= high and (first < last or self._keeps(at, first))
        ]

    def least(self, first: int, last: int) -> Decimal:
        return min((part for _, part in self.parts(first, last)), default=NEVER)

    def most(self, first: int, last: int) -> Decimal:
        return min((self._part(at, last) for at in self._kept(first, last)), default=NEVER)

    def _kept(self, first: int, last: int) -> list[int]:
        return [
            at
            for at, (low, high) in self._ranges.items()
            if low <= first and last <= high and self._keeps(at, first) and self._keeps(at, last)
        ]

    @cached_property
    def _ranges(self) -> dict[int, tuple[int, int]]:
        """By candidate the volumes at which it keeps the limits, one stretch: a busier endpoint has fewer cold starts,
        until it needs more than an account gets. Those that never keep them are not in it."""
        grid = [round(volume) for volume in np.geomspace(LEAST, MOST, GRID).tolist()]
        ranges = {}
        for at in range(len(self._candidates)):
            kept = [place for place, volume in enumerate(grid) if self._keeps(at, volume)]
            if kept:
                low, high = kept[0], kept[-1]
                first = grid[low] if low == 0 else self._edge(at, grid[low - 1], grid[low])
                last = grid[high] if high == GRID - 1 else self._edge(at, grid[high + 1], grid[high])
                ranges[at] = (first, last)
        return ranges

    def _edge(self, at: int, outside: int, inside: int) -> int:
        """The last volume that is inside."""
        while abs(inside - outside) > 1:
            middle = (inside + outside) // 2
            if self._keeps(at, middle):
                inside = middle
            else:
                outside = middle
        return inside

    def _keeps(self, at: int, volume: int) -> bool:
        """Whether it keeps the limits."""
        sizing, asked = self._sizings(volume)[at], self._asked(volume)
        return (
            sizing is not None
            and keeps_time(self.mode, sizing, asked)
            and self._file.offered(self._candidates[at], asked) is None
        )

    def _sizings(self, volume: int) -> list[Sizing | None]:
        """Of each candidate; None where none are enough."""
        if volume not in self._sized:
            asked = self._asked(volume)
            sizes = self._file.size(self._demand, asked)
            self._sized[volume] = size_rows(sizes, self._demand, asked, only_limits=True)
        return self._sized[volume]

    def _asked(self, volume: int) -> Workload:
        if volume not in self._workloads:
            self._workloads[volume] = at_volume(self._workload, volume)
        return self._workloads[volume]

    def _part(self, at: int, volume: int) -> Decimal:
        """Its cost without the straight line."""
        cost = self._cost(at, volume)
        return cost if cost == NEVER else (cost - self._slope * volume).quantize(EXACT)

    def _cost(self, at: int, volume: int) -> Decimal:
        if (at, volume) not in self._costs:
            sizing = self._sizings(volume)[at]
            if sizing is None:
                return NEVER
            items = self._file.use(self._candidates[at], sizing, self._asked(volume))
            self._costs[at, volume] = total(self._biller.bill(items))
        return self._costs[at, volume]


def _undominated(mode: Mode, candidates: Sequence[Candidate], workload: Workload, region: str) -> list[Candidate]:
    """Those of the mode's hosts that no other beats in price and in every time of a request.

    Whoever is slower and dearer needs as many or more of what costs more, at every volume.
    """
    file = load_mode(mode)
    there = [
        candidate
        for candidate in candidates
        if candidate.host.service == file.SERVICE and region in candidate.host.regions
    ]
    if file.SERVICE != "instance" or not there:
        return there
    there.sort(key=lambda candidate: candidate.host.rates[region].usd)
    demand = Demand.of(there)
    figures = np.stack([demand.service, demand.deviation, demand.work, demand.around], axis=1)
    transform = [candidate.host.instance is not None and candidate.host.instance.transform for candidate in there]
    kept: list[int] = []
    for at in range(len(there)):
        beaten = any((figures[other] <= figures[at]).all() and transform[other] >= transform[at] for other in kept)
        if not beaten:
            kept.append(at)
    return [there[at] for at in kept]


def _data_per_request(workload: Workload, prices: PriceBook, region: str) -> Decimal:
    one = at_volume(workload, 1)
    return total(Biller(prices, region, one).bill([data(one)])) / (one.requests_per_month or 1)


def at_volume(workload: Workload, requests_per_month: int) -> Workload:
    """The workload with so many requests a month, its week and its bursts scaled."""
    return msgspec.structs.replace(workload, requests_per_second=requests_per_month / MONTH_S)


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """What a model saves over another at a volume, each run in its cheapest way."""

    model: Model
    over: Model
    requests_per_month: int
    cost: Decimal
    cost_over: Decimal

    @property
    def share(self) -> float:
        return float(1 - self.cost / self.cost_over) if self.cost_over else 0.0


class ModelBreakeven(msgspec.Struct, frozen=True, kw_only=True):
    model: Model
    spans: list[Span]
    """The cheapest way to deploy it, over the volumes."""
    with_others: list[Span]
    """The same with the ways outside SageMaker."""
    never: list[str]
    """Ways that keep the limits at no volume."""
    points: dict[tuple[str, int], Point | None]
    """By way, at the ends of each span."""


class Breakeven(msgspec.Struct, frozen=True, kw_only=True):
    workload: Workload
    region: str
    models: list[ModelBreakeven]
    savings: list[Saving]


def find_breakeven(
    question: Question,
    prices: PriceBook,
    measured: Sequence[MeasuredModel],
    *,
    first: int = LEAST,
    last: int = MOST,
) -> Breakeven:
    """The spans of each model between the volumes, and what the others save over the first model at each edge."""
    region = question.regions[0]
    modes = {way: [mode for mode in of_way if mode in question.modes] for way, of_way in WAYS.items()}
    modes = {way: of_way for way, of_way in modes.items() if of_way}
    services = [load_mode(mode).SERVICE for of_way in modes.values() for mode in of_way]
    hosts, _ = find_hosts(prices, region, services=services, instances=question.instances)
    found: list[ModelBreakeven] = []
    costs: dict[str, Mapping[str, Way]] = {}
    for model in question.models:
        candidates, _ = find_candidates(
            [model], hosts, question.workload, measured, engines=question.engines, dtypes=question.dtypes
        )
        candidates = [one for one in candidates if one.dtype != "int8" or question.int8_opted_in]
        ways = {way: Way(of_way, candidates, question.workload, prices, region) for way, of_way in modes.items()}
        costs[model.id] = ways
        found.append(_of_model(model, ways, first, last))
    return Breakeven(
        workload=question.workload, region=region, models=found, savings=list(_savings(found, costs, first))
    )


def _of_model(model: Model, ways: Mapping[str, Way], first: int, last: int) -> ModelBreakeven:
    ours = {name: way for name, way in ways.items() if name in OURS}
    spans = cheapest_spans(ours, first, last) if ours else []
    with_others = cheapest_spans(ways, first, last)
    edges = {edge for span in (*spans, *with_others) for edge in (span.first, span.last)}
    return ModelBreakeven(
        model=model,
        spans=spans,
        with_others=with_others,
        never=[name for name, way in ways.items() if way.least(first, last) == NEVER],
        points={(name, edge): way.at(edge) for name, way in ways.items() for edge in edges},
    )


def _savings(found: Sequence[ModelBreakeven], ways: Mapping[str, Mapping[str, Way]], first: int) -> Iterator[Saving]:
    """Over the largest of the models, at the edges of its spans."""
    if len(found) < 2:
        return
    largest = max(found, key=lambda one: one.model.parameters)
    for volume in sorted({span.first for span in largest.spans} | {first}):
        over = _cheapest(ways[largest.model.id], volume)
        for other in found:
            cost = _cheapest(ways[other.model.id], volume)
            if other is not largest and over is not None and cost is not None:
                yield Saving(
                    model=other.model, over=largest.model, requests_per_month=volume, cost=cost, cost_over=over
                )


def _cheapest(ways: Mapping[str, Way], volume: int) -> Decimal | None:
    points = [point for name, way in ways.items() if name in OURS and (point := way.at(volume)) is not None]
    return min((point.cost for point in points), default=None)
