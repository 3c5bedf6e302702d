"""What a report shows of a comparison: its options as rows, those to look at closely, and where all of it is from.

Pictures and tables know these rows alone, not how they were computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby

import msgspec

from cost_model.breakeven import find_breakeven
from cost_model.compare import Comparison, Option
from cost_model.components import Component
from cost_model.crossings import Span
from cost_model.prices.book import PriceBook
from cost_model.prices.tables import Origin
from cost_model.question import Question
from cost_model.report.compare import left_out_lines
from cost_model.report.figure import Source
from cost_model.report.kinds import KINDS, kind_of
from cost_model.report.volumes import Volume, sweep
from cost_model.service_time import MeasuredModel
from cost_model.verdicts import may_be_chosen, meets
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import Model

MOST_CONTENDERS = 6
SHOWN_OF_A_KIND = 5
"""Options of each model and kind that are drawn and listed: the cheapest. The front's and the contenders always are."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An option, as it is shown. Times in ms, memory in MiB."""

    label: str
    model: Model
    kind: str
    """A key of KINDS."""
    place: str
    region: str
    engine: str
    count: int
    dtype: str
    monthly_cost: Decimal
    complete: bool
    """False where a minor line is unpriced: costs are then lower bounds."""
    quality: float | None
    """By the workload's metric."""
    per_million_documents: Decimal
    per_thousand_queries: Decimal
    p50_ms: float
    p95_ms: float
    p99_ms: float
    utilisation: float
    memory_needed: float
    memory_there: float
    basis: str
    timed: str
    """How the response times follow from the speed."""
    within: bool
    """It keeps the workload's limits."""
    eligible: bool
    """It is one to deploy for such a workload, whatever it costs; others are there to compare with."""
    pareto: bool
    chosen: bool
    components: tuple[Component, ...]
    option: Option
    """For its response at other loads."""

    @property
    def known_by(self) -> str:
        """The word for how its speed is known."""
        return self.basis.partition(":")[0]


class View(msgspec.Struct, frozen=True, kw_only=True):
    made_at: datetime
    workload: Workload
    regions: tuple[str, ...]
    currency: str
    origins: tuple[Origin, ...]
    """Of the prices, by region."""
    rows: tuple[Row, ...]
    """Those shown, cheapest first."""
    options: int
    """How many there are."""
    contenders: tuple[Row, ...]
    """The few that are looked at closely; the chosen one first."""
    chosen: Row | None
    reason: str
    left_out: tuple[str, ...]
    """What could not be ranked, and why."""
    measured: tuple[MeasuredModel, ...]
    volumes: tuple[Volume, ...]
    spans: tuple[Span, ...]
    """Which way to run the chosen model is the cheapest from where to where, of those to be deployed."""

    @property
    def models(self) -> tuple[Model, ...]:
        return tuple({row.model.id: row.model for row in self.rows}.values())

    @property
    def region(self) -> str:
        return ", ".join(self.regions)

    @property
    def prices_as_of(self) -> date:
        """The oldest."""
        return min(origin.as_of for origin in self.origins)

    @property
    def prices_age_days(self) -> int:
        return (self.made_at.date() - self.prices_as_of).days

    @property
    def requests_per_month(self) -> float:
        return float(self.workload.requests_per_month)

    @property
    def price_source(self) -> Source:
        regions: dict[str, list[str]] = {}
        for region, origin in zip(self.regions, self.origins, strict=True):
            regions.setdefault(f"{origin.source}, as of {origin.as_of}", []).append(region)
        known = [f"{', '.join(of)}: {source}" for source, of in regions.items()]
        plan = "with your Savings Plan" if self.workload.savings_plan else "on demand"
        return Source("Cost", f"{'; '.join(known)}; {plan}, {self.currency} before taxes")

    @property
    def speed_source(self) -> Source:
        """How the speeds of the rows are known, and from what."""
        words = " or ".join(sorted({row.known_by for row in self.rows}))
        return Source("Speed", f"{words} from {self._profiles}; the table of options has the basis of each")

    @property
    def profile_source(self) -> Source:
        return Source("Speed", f"measured, {self._profiles}")

    @property
    def _profiles(self) -> str:
        days = sorted({one.profile.measured_at.date() for one in self.measured})
        machines = ", ".join(sorted({one.machine for one in self.measured}))
        if not days:
            return "no profile"
        when = f"{days[0]}" if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
        return f"{len(self.measured)} profiles of {machines}, {when}"

    @property
    def quality_source(self) -> Source:
        """The publications that the models' quality is from, or that it is the reader's own."""
        if self.workload.quality and self.workload.quality.metric == "own":
            return Source("Quality", f"yours: {self.workload.quality_name}, as the workload says")
        return self.published_source

    @property
    def published_source(self) -> Source:
        published = sorted({(model.quality.source, model.quality.as_of) for model in self.models if model.quality})
        return Source("Quality", "published: " + "; ".join(f"{source}, {as_of}" for source, as_of in published))

    @property
    def without_quality(self) -> tuple[str, ...]:
        """A line for each model without a quality by the workload's metric."""
        return tuple(
            f"{model.alias}: no {self.workload.quality_name} is known of it"
            for model in self.models
            if self.workload.quality_of(model) is None
        )


def make_view(
    question: Question,
    comparison: Comparison,
    prices: PriceBook,
    measured: Sequence[MeasuredModel],
    *,
    made_at: datetime | None = None,
) -> View:
    """The view of the question's answer; costs over volumes are computed for it."""
    rows = [_row(option, comparison) for option in comparison.options]
    chosen = next((row for row in rows if row.chosen), None)
    alone = question.of_models((chosen.model,)) if chosen else None
    contenders = _contenders(rows)
    return View(
        made_at=made_at or datetime.now(UTC),
        workload=comparison.workload,
        regions=comparison.regions,
        currency=prices.header.currency,
        origins=tuple(prices.origin(region) for region in comparison.regions),
        rows=tuple(_shown(rows, contenders)),
        options=len(rows),
        contenders=tuple(rows[at] for at in contenders),
        chosen=chosen,
        reason=comparison.reason,
        left_out=tuple(left_out_lines(comparison)),
        measured=tuple(measured),
        volumes=tuple(sweep(question.of_models(_followed(rows)), prices, measured)),
        spans=tuple(find_breakeven(alone, prices, measured).models[0].spans) if alone else (),
    )


def _row(option: Option, comparison: Comparison) -> Row:
    candidate, workload = option.candidate, comparison.workload
    return Row(
        label=option.label if len(comparison.regions) == 1 else f"{option.label}, {option.region}",
        model=candidate.model,
        kind=kind_of(option),
        place=option.place,
        region=option.region,
        engine=candidate.engine,
        count=option.count,
        dtype=candidate.dtype,
        monthly_cost=option.monthly_cost,
        complete=option.complete,
        per_million_documents=option.cost_per_million_documents,
        per_thousand_queries=option.cost_per_thousand_queries,
        p50_ms=option.p50_ms,
        p95_ms=option.p95_ms,
        p99_ms=option.p99_ms,
        utilisation=option.utilisation,
        memory_needed=candidate.memory_needed,
        memory_there=candidate.host.memory_mb,
        basis=candidate.basis,
        quality=option.quality,
        timed=option.timed,
        within=meets(option, workload),
        eligible=may_be_chosen(option, workload),
        pareto=option.pareto,
        chosen=option.chosen,
        components=tuple(option.components),
        option=option,
    )


def _contenders(rows: Sequence[Row]) -> list[int]:
    """Places of the chosen one, the best in quality and the cheapest of each kind, within the limits where any is.

    The runner-up is often the same model on a sister type: what differs is more worth a look.
    """
    chosen = [at for at, row in enumerate(rows) if row.chosen]
    within = [at for at, row in enumerate(rows) if row.within and row.eligible]
    best = max(within, key=lambda at: (rows[at].quality or 0.0, -rows[at].monthly_cost), default=None)
    picked = [*chosen, *([] if best is None else [best])]
    for kind in KINDS:
        of_kind = [at for at, row in enumerate(rows) if row.kind == kind]
        if of_kind:
            picked.append(next((at for at in of_kind if rows[at].within), of_kind[0]))
    return list(dict.fromkeys(picked))[:MOST_CONTENDERS]


def _shown(rows: Sequence[Row], contenders: Sequence[int]) -> list[Row]:
    """The cheapest of each model and kind, within the limits before beyond them; the front and the contenders."""

    def group(at: int) -> tuple[str, str]:
        return rows[at].model.id, rows[at].kind

    def rank(at: int) -> tuple[str, str, bool, Decimal, float]:
        return (*group(at), not rows[at].within, rows[at].monthly_cost, rows[at].p95_ms)

    picked = {*contenders, *(at for at, row in enumerate(rows) if row.pareto)}
    for _, members in groupby(sorted(range(len(rows)), key=rank), key=group):
        picked.update(list(members)[:SHOWN_OF_A_KIND])
    return [row for at, row in enumerate(rows) if at in picked]


def _followed(rows: Sequence[Row]) -> tuple[Model, ...]:
    """The models whose cost is followed over volumes: JinaBERT's three sizes beside each other, and the chosen one."""
    return tuple({row.model.id: row.model for row in rows if row.model.family == "jinabert" or row.chosen}.values())
