"""Which option to take: the cheapest that keeps the limits even if it is as slow as it may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from cost_model.sizing import Sizing
from cost_model.slow_end import slow_sizings
from cost_model.verdicts import keeps_time, may_be_chosen, meets
from cost_model.workload import Workload

if TYPE_CHECKING:
    from cost_model.compare import Option

Refine = Callable[["Option"], "Option"]
"""Gives an option better response times."""

Price = Callable[["Option", Sizing], Decimal]
"""Dollars a month of an option of another size."""

AT_ONCE = 64
"""Options that are looked at together: the arithmetic of one takes about as long."""

TRIES = 3
"""How many of those that were passed over are refined to find one worth telling of."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Places among the options."""

    chosen: int | None = None
    runner_up: int | None = None
    sure: bool = True
    """Whether the chosen one can keep the limits at the slow end of its speed too; else no option can."""
    cheaper: int | None = None
    """The cheapest of those passed over because they keep the limits only if they are as fast as expected."""


def choose(options: list[Option], workload: Workload, refine: Refine | None, *, price: Price) -> Choice:
    """Of options in the order of their costs; those that decide are refined in place, and passed over if they then
    break a limit."""
    doubtful: list[int] = []
    taken: list[int] = []
    for at, sure in _by_cost(options, workload, price):
        if not sure:
            doubtful.append(at)
        elif _bears_out(options, at, workload, refine):
            taken.append(at)
            if len(taken) == 2:
                break
    surely_kept = bool(taken)
    if len(taken) < 2:
        rest = (at for at in doubtful if _bears_out(options, at, workload, refine))
        taken += [at for at, _ in zip(rest, range(2 - len(taken)), strict=False)]
    if not taken:
        return Choice()
    first, second, *_ = [*taken, None]
    if not surely_kept or first is None:
        return Choice(chosen=first, runner_up=second, sure=False)
    before = [at for at in doubtful if at < first][:TRIES]
    cheaper = next((at for at in before if _bears_out(options, at, workload, refine)), None)
    return Choice(chosen=first, runner_up=second, cheaper=cheaper)


def _by_cost(options: Sequence[Option], workload: Workload, price: Price) -> Iterator[tuple[int, bool]]:
    """Those that may be chosen and keep the limits, each with whether it can keep them at the slow end too."""
    able = [at for at, option in enumerate(options) if may_be_chosen(option, workload) and meets(option, workload)]
    for first in range(0, len(able), AT_ONCE):
        places = able[first : first + AT_ONCE]
        yield from zip(places, surely([options[at] for at in places], price), strict=True)


def surely(options: Sequence[Option], price: Price | None = None) -> list[bool]:
    """Whether each keeps its time limits at the slow end of its speed, with as many instances as that takes.

    With `price` whether these are within the budget besides, where there is one.
    """
    return [
        sizing is not None
        and keeps_time(option.mode, sizing, option.workload)
        and (price is None or _affordable(option, sizing, price))
        for option, sizing in zip(options, slow_sizings(options), strict=True)
    ]


def _affordable(option: Option, sizing: Sizing, price: Price) -> bool:
    budget = option.workload.max_monthly_cost
    return budget is None or price(option, sizing) <= budget


def _bears_out(options: list[Option], at: int, workload: Workload, refine: Refine | None) -> bool:
    """Whether it keeps the limits when it is looked at more closely."""
    if refine is not None:
        options[at] = refine(options[at])
    return meets(options[at], workload)
