"""The cheapest option of each model and kind at other volumes than the workload's."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from cost_model.compare import compare
from cost_model.modes import load_mode
from cost_model.options import find_candidates, find_hosts
from cost_model.prices.book import PriceBook
from cost_model.question import Question
from cost_model.report.kinds import kind_of
from cost_model.service_time import MeasuredModel
from cost_model.verdicts import may_be_chosen, meets

FACTORS = tuple(10 ** (step / 3) for step in range(-9, 7))
"""Of the workload's rate: from a thousandth to a hundred times it, and 1 among them."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a model, and of a kind; without a kind all that are to be deployed."""

    model: str
    """An alias."""
    kind: str | None = None


class Cheapest(msgspec.Struct, frozen=True, kw_only=True):
    label: str
    model: str
    kind: str
    monthly_cost: Decimal
    eligible: bool
    """It is one to deploy for such a workload; others are there to compare with."""


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    requests_per_month: float
    cheapest: tuple[Cheapest, ...]
    """Of those within the workload's limits, at most one of each model and kind."""

    def of(self, selection: Selection) -> Cheapest | None:
        found = [
            one
            for one in self.cheapest
            if one.model == selection.model and (one.eligible if selection.kind is None else one.kind == selection.kind)
        ]
        return min(found, key=lambda one: one.monthly_cost, default=None)


def sweep(question: Question, prices: PriceBook, measured: Sequence[MeasuredModel]) -> list[Volume]:
    """All that the question allows, sized and priced anew at each volume, least first."""
    workload = question.workload
    services = [load_mode(mode).SERVICE for mode in question.modes]
    hosts, _ = find_hosts(prices, question.regions, services=services, instances=question.instances)
    candidates, _ = find_candidates(
        question.models, hosts, workload, measured, engines=question.engines, dtypes=question.dtypes
    )
    volumes = []
    for factor in FACTORS:
        asked = msgspec.structs.replace(workload, requests_per_second=workload.requests_per_second * factor)
        cheapest: dict[tuple[str, str], Cheapest] = {}
        compared = compare(candidates, asked, prices, question.regions, modes=question.modes)
        for option in compared.options:  # cheapest first
            key = option.candidate.model.alias, kind_of(option)
            if key not in cheapest and meets(option, asked):
                cheapest[key] = Cheapest(
                    label=option.label,
                    model=key[0],
                    kind=key[1],
                    monthly_cost=option.monthly_cost,
                    eligible=may_be_chosen(option, asked),
                )
        volumes.append(Volume(requests_per_month=float(asked.requests_per_month), cheapest=tuple(cheapest.values())))
    return volumes
