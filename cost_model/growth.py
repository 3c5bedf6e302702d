"""How long a size lasts as traffic grows, and what the workload asks for at the horizon of its growth."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cost_model.compare import Comparison, Option
from cost_model.prices.book import PriceBook
from cost_model.question import Question, answer
from cost_model.service_time import MeasuredModel
from cost_model.simulation import simulated
from cost_model.whatif import kept_in, same_place


class Horizon(msgspec.Struct, frozen=True, kw_only=True):
    """The last month that the workload looks at."""

    month: int
    factor: float
    """Of the traffic, over what the choice was made for."""
    lasts: int | None
    """The last month until then in which the choice still has room; None where nothing bounds it."""
    kept: Option | None
    """The choice as it is needed in that month; None where it is not to be had then."""
    then: Comparison

    @property
    def changes_choice(self) -> bool:
        """Whether another one is the one to take in that month."""
        chosen = self.then.chosen
        return chosen is not None and (self.kept is None or not same_place(chosen, self.kept))


def at_horizon(
    chosen: Option, question: Question, prices: PriceBook, measured: Sequence[MeasuredModel]
) -> Horizon | None:
    """None where the workload doesn't grow, or the choice is for its horizon already."""
    workload = question.workload
    growth = workload.growth
    if growth is None or growth.months <= workload.month:
        return None
    grown = workload.in_month(growth.months)
    then = answer(msgspec.structs.replace(question, workload=grown), prices, measured, refine=simulated)
    return Horizon(
        month=growth.months,
        factor=growth.factor(growth.months - workload.month),
        lasts=chosen.lasts_until,
        kept=kept_in(then, chosen),
        then=then,
    )
