"""The cheapest option of each model and kind at other volumes than the workload's."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import msgspec
import numpy as np

from cost_model.compare import compare, may_be_chosen, meets
from cost_model.modes import load_mode
from cost_model.options import find_candidates, find_hosts
from cost_model.prices.book import PriceBook
from cost_model.question import Question
from cost_model.report.kinds import kind_of
from cost_model.service_time import MeasuredModel

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


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Volumes over which one kind is the cheapest."""

    kind: str
    until: float | None
    """Requests a month; None for the last."""


def cheapest_kinds(volumes: Sequence[Volume], model: str) -> list[Stretch]:
    """Which kind is the cheapest of those to be deployed, from the least volume to the most.

    Where both kinds are there on either side, their crossing is interpolated on logarithms; else it is put in the
    middle. It is no finer than the volumes are: always-on costs rise in steps.
    """
    found = [(volume, best) for volume in volumes if (best := volume.of(Selection(model=model)))]
    stretches = [
        Stretch(kind=best.kind, until=_crossing(volume, later, model, best.kind, next_best.kind))
        for (volume, best), (later, next_best) in pairwise(found)
        if best.kind != next_best.kind
    ]
    return [*stretches, *(Stretch(kind=best.kind, until=None) for _, best in found[-1:])]


def _crossing(before: Volume, after: Volume, model: str, kind: str, next_kind: str) -> float:
    x, next_x = np.log(before.requests_per_month), np.log(after.requests_per_month)
    gaps = [
        float(np.log(float(one.monthly_cost / other.monthly_cost)))
        for volume in (before, after)
        if (one := volume.of(Selection(model=model, kind=kind)))
        and (other := volume.of(Selection(model=model, kind=next_kind)))
        and one.monthly_cost
        and other.monthly_cost
    ]
    share = gaps[0] / (gaps[0] - gaps[1]) if len(gaps) == 2 else 0.5
    return float(np.exp(x + (next_x - x) * share))
