"""Why an option was chosen or, where none keeps the limits, what would have to give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cost_model.caveats import caveats
from cost_model.components import dollars
from cost_model.verdicts import is_affordable, is_fast, is_good, may_be_chosen
from cost_model.workload import Workload

if TYPE_CHECKING:
    from cost_model.compare import Option


def why_chosen(
    chosen: Option,
    runner_up: Option | None,
    cheaper: Option | None,
    slow_end: Option | None,
    workload: Workload,
    *,
    sure: bool,
    several: bool,
) -> str:
    """In words, apart by "; ": the praise, what comes next, what was passed over, what is not known for sure.

    several: regions, of which each option then names its own.
    """
    praise = _praise(runner_up, cheaper, workload, sure=sure)
    parts = [f"{praise}, in {chosen.region}" if several else praise]
    if runner_up is not None:
        parts.append(
            f"next is {runner_up.named(region=several)} for {runner_up.dollars_a_month} at a p95 of "
            f"{runner_up.p95_ms:,.0f} ms against {chosen.p95_ms:,.0f} ms"
        )
    if cheaper is not None:
        parts.append(
            f"cheaper, but within the limits only if it is as fast as expected: {cheaper.named(region=several)} "
            f"for {cheaper.dollars_a_month} at a p95 of {cheaper.p95_ms:,.0f} ms"
        )
    return "; ".join([*parts, *caveats(chosen), *_at_slow_end(chosen, slow_end, workload)])


def _praise(runner_up: Option | None, cheaper: Option | None, workload: Workload, *, sure: bool) -> str:
    unlimited = workload.slo_ms is None and workload.min_quality is None and workload.max_monthly_cost is None
    if not sure:
        return (
            "cheapest within the limits if it is as fast as expected, and no option can keep them however slow it "
            "turns out"
        )
    if runner_up is None:
        return "the only option" if unlimited else "the only one within the limits"
    if unlimited:
        return "cheapest"
    return "cheapest that can keep the limits however slow it turns out" if cheaper else "cheapest within the limits"


def _at_slow_end(chosen: Option, slow_end: Option | None, workload: Workload) -> Iterator[str]:
    """What the slow end of its speed's interval comes to."""
    percentile = f"p{workload.slo_percentile:g}"
    if slow_end is None:
        yield "if as slow as it may be, no number of it carries the load"
    elif not is_fast(slow_end, workload):
        yield f"if as slow as it may be, it has a {percentile} of {slow_end.limited_ms:,.0f} ms, beyond the limit"
    elif slow_end.count > chosen.count:
        yield f"if as slow as it may be, it takes {slow_end.place} for {slow_end.dollars_a_month}"
    elif slow_end.limited_ms > chosen.limited_ms:
        yield f"if as slow as it may be, it has a {percentile} of {slow_end.limited_ms:,.0f} ms"


def why_none(options: Sequence[Option], workload: Workload, *, several: bool) -> str:
    """What would have to give, each limit for itself and, where each alone can be met, together."""
    ours = [option for option in options if may_be_chosen(option, workload)]
    if not ours:
        return "no option has a price, a speed and the memory"
    gives: list[str] = []
    for words in (
        _too_slow(ours, workload, several=several),
        _too_poor(ours, workload),
        _too_dear(ours, workload, several=several),
    ):
        gives += words
    return "; ".join(gives) or f"no option meets the limits together: {_nearest(ours, workload, several=several)}"


def _too_slow(options: Sequence[Option], workload: Workload, *, several: bool) -> list[str]:
    if any(is_fast(option, workload) for option in options):
        return []
    best = min(options, key=lambda option: option.limited_ms)
    return [
        f"the fastest, {best.named(region=several)}, has a p{workload.slo_percentile:g} of {best.limited_ms:,.0f} ms, "
        f"the limit is {workload.slo_ms:g} ms"
    ]


def _too_poor(options: Sequence[Option], workload: Workload) -> list[str]:
    if any(is_good(option, workload) for option in options):
        return []
    known = [option.quality for option in options if option.quality is not None]
    name = workload.quality_name
    best = f"the best has a {name} of {max(known):g}" if known else f"none has a known {name}"
    return [f"{best}, the floor is {workload.min_quality:g}"]


def _too_dear(options: Sequence[Option], workload: Workload, *, several: bool) -> list[str]:
    if any(is_affordable(option, workload) for option in options):
        return []
    best = min(options, key=lambda option: option.monthly_cost)
    return [
        f"the cheapest, {best.named(region=several)}, costs {best.dollars_a_month}, "
        f"the budget is ${workload.max_monthly_cost:,}"
    ]


def _nearest(options: Sequence[Option], workload: Workload, *, several: bool) -> str:
    """For each limit the cheapest option that keeps all the others, and what it misses by."""
    ways: list[str] = []
    keeps = {"speed": is_fast, "quality": is_good, "budget": is_affordable}
    for given, keep in keeps.items():
        others = [other for name, other in keeps.items() if name != given]
        near = [option for option in options if all(other(option, workload) for other in others)]
        if any(keep(option, workload) for option in near) or not near:
            continue
        if given == "speed":
            best = min(near, key=lambda option: option.limited_ms)
            allowed = f"{best.named(region=several)} for {best.dollars_a_month}"
            ways.append(f"a limit of {best.limited_ms:,.0f} ms allows {allowed}")
        elif given == "quality":
            best = max(near, key=lambda option: (option.quality or 0.0, -option.monthly_cost))
            allowed = f"{best.named(region=several)} for {best.dollars_a_month}"
            ways.append(f"a floor of {best.quality or 0:g} allows {allowed}")
        else:
            best = min(near, key=lambda option: option.monthly_cost)
            ways.append(f"a budget of {dollars(best.monthly_cost)} allows {best.named(region=several)}")
    return "; or ".join(ways) or "two of them would have to give"
