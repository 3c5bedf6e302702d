"""Why an option was chosen or, where none keeps the limits, what would have to give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cost_model.components import dollars
from cost_model.verdicts import is_affordable, is_fast, is_good, may_be_chosen
from cost_model.workload import Workload

if TYPE_CHECKING:
    from cost_model.compare import Option


def why_chosen(chosen: Option, runner_up: Option | None, workload: Workload) -> str:
    """In words, with what comes next."""
    unlimited = workload.slo_ms is None and workload.min_quality is None and workload.max_monthly_cost is None
    if runner_up is None:
        return "the only option" if unlimited else "the only one within the limits"
    praise = "cheapest" if unlimited else "cheapest within the limits"
    return (
        f"{praise}; next is {runner_up.label} for {runner_up.dollars_a_month} at a p95 of {runner_up.p95_ms:,.0f} ms "
        f"against {chosen.p95_ms:,.0f} ms"
    )


def why_none(options: Sequence[Option], workload: Workload) -> str:
    """What would have to give, each limit for itself and, where each alone can be met, together."""
    ours = [option for option in options if may_be_chosen(option, workload)]
    if not ours:
        return "no option has a price, a speed and the memory"
    gives: list[str] = []
    for words in (_too_slow(ours, workload), _too_poor(ours, workload), _too_dear(ours, workload)):
        gives += words
    return "; ".join(gives) or f"no option meets the limits together: {_nearest(ours, workload)}"


def _too_slow(options: Sequence[Option], workload: Workload) -> list[str]:
    if any(is_fast(option, workload) for option in options):
        return []
    best = min(options, key=lambda option: option.limited_ms)
    return [
        f"the fastest, {best.label}, has a p{workload.slo_percentile:g} of {best.limited_ms:,.0f} ms, "
        f"the limit is {workload.slo_ms:g} ms"
    ]


def _too_poor(options: Sequence[Option], workload: Workload) -> list[str]:
    if any(is_good(option, workload) for option in options):
        return []
    known = [option.quality for option in options if option.quality is not None]
    name = workload.quality_name
    best = f"the best has a {name} of {max(known):g}" if known else f"none has a known {name}"
    return [f"{best}, the floor is {workload.min_quality:g}"]


def _too_dear(options: Sequence[Option], workload: Workload) -> list[str]:
    if any(is_affordable(option, workload) for option in options):
        return []
    best = min(options, key=lambda option: option.monthly_cost)
    return [f"the cheapest, {best.label}, costs {best.dollars_a_month}, the budget is ${workload.max_monthly_cost:,}"]


def _nearest(options: Sequence[Option], workload: Workload) -> str:
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
            ways.append(f"a limit of {best.limited_ms:,.0f} ms allows {best.label} for {best.dollars_a_month}")
        elif given == "quality":
            best = max(near, key=lambda option: (option.quality or 0.0, -option.monthly_cost))
            ways.append(f"a floor of {best.quality or 0:g} allows {best.label} for {best.dollars_a_month}")
        else:
            best = min(near, key=lambda option: option.monthly_cost)
            ways.append(f"a budget of {dollars(best.monthly_cost)} allows {best.label}")
    return "; or ".join(ways) or "two of them would have to give"
