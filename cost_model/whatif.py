"""What changes if the traffic, the prices or the limits do: the choice of today, kept and chosen anew."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from cost_model.compare import Comparison, Option
from cost_model.prices.book import PriceBook
from cost_model.question import Question, answer
from cost_model.service_time import MeasuredModel
from cost_model.simulation import simulated
from cost_model.verdicts import meets


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    before: Comparison
    after: Comparison
    kept: Option | None
    """What was chosen before, under what holds after; None where it isn't to be had then."""

    @property
    def kept_meets(self) -> bool:
        """Whether what was chosen before still keeps the limits."""
        return self.kept is not None and meets(self.kept, self.after.workload)

    @property
    def changes_choice(self) -> bool:
        chosen = self.after.chosen
        return chosen is None or self.kept is None or not _same(chosen, self.kept)

    @property
    def lasts(self) -> int | None:
        """The last month in which what was chosen before has room, where traffic grows; None where nothing bounds it,
        and of other changes."""
        before, after = self.before.chosen, self.after.workload
        if before is None or after.growth is None or after.month == self.before.workload.month:
            return None
        growing = msgspec.structs.replace(before.workload, growth=after.growth)
        return msgspec.structs.replace(before, workload=growing).lasts_until

    @property
    def dearer(self) -> Decimal | None:
        """Dollars a month that the best choice costs more after than before."""
        if self.before.chosen is None or self.after.chosen is None:
            return None
        return self.after.chosen.monthly_cost - self.before.chosen.monthly_cost


def ask_what_if(before: Question, after: Question, prices: PriceBook, measured: Sequence[MeasuredModel]) -> WhatIf:
    """Both questions answered; the option chosen for the first is looked for among those of the second."""
    first, second = (answer(question, prices, measured, refine=simulated) for question in (before, after))
    return WhatIf(before=first, after=second, kept=None if first.chosen is None else kept_in(second, first.chosen))


def kept_in(comparison: Comparison, chosen: Option) -> Option | None:
    """The option of the comparison that is in the same place as one chosen elsewhere, in its region if it can be;
    None where there is none."""
    regions = (chosen.region, *comparison.regions)
    same = [option for option in comparison.options if same_place(option, chosen)]
    found = min(same, key=lambda option: regions.index(option.region), default=None)
    return None if found is None else simulated(found)


def same_place(one: Option, other: Option) -> bool:
    """The same but for region, size and count."""
    return (
        one.candidate.model.id,
        one.candidate.engine,
        one.candidate.dtype,
        one.candidate.host.label,
        one.mode,
    ) == (
        other.candidate.model.id,
        other.candidate.engine,
        other.candidate.dtype,
        other.candidate.host.label,
        other.mode,
    )


def _same(one: Option, other: Option) -> bool:
    return same_place(one, other) and one.region == other.region
