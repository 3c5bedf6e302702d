"""A comparison as JSON and as a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec

from cost_model.choice import surely
from cost_model.compare import Comparison, Option
from cost_model.components import cents, plain
from cost_model.hosts import Host
from cost_model.modes import OFFLINE, SAGEMAKER, Mode
from cost_model.prices.book import PriceBook
from cost_model.report.estimate import component_document, prices_document
from cost_model.report.order import KEYS, Sort
from cost_model.verdicts import is_affordable, is_fast, is_good, may_be_chosen, meets
from cost_model.workload import Workload
from rerank_toolkit import __version__
from rerank_toolkit.console import Column

COLUMNS = (
    Column(""),
    Column("Model"),
    Column("On"),
    Column("×", "right"),
    Column("dtype"),
    Column("$/month", "right"),
    Column("$/M docs", "right"),
    Column("$/1k q", "right"),
    Column("p50/95/99 ms", "right"),
    Column("busy", "right"),
    Column("room", "right"),
    Column("GiB", "right"),
    Column("BEIR", "right"),
    Column("basis"),
)

LEGEND = (
    "✓ chosen   ◆ none is better in cost, p95 or quality and worse in none   ? not published",
    "! beyond a limit   ~ within the limit only if it is as fast as expected, and beyond it if as slow as it may be",
    "× instances, or requests at once   busy: in the busiest hour   room: more traffic until a limit breaks",
    "GiB: needed/available   interpolated: by a law through the measured requests; scaled: carried to another machine",
    "--json: the interval, the formula and the basis of each figure",
)
OPT_IN = "int8 is chosen only by --dtype int8: it loses a little, and --json says how much"
AT_LEAST = "≥ at least: minor lines without a known price, such as data in this region, come on top"
NEVER_CHOSEN = "not deployed by this toolkit, and never chosen: {}"

BEYOND, PART = "†", "‡"

TRIES = 2
"""How often a row gives way to the next before one is shown that breaks a limit."""

KINDS = ("cpu", "gpu", "serverless", "offline", "elsewhere")
"""Of options, in the order of the table."""


def kind(option: Option) -> str:
    """Real-time on CPUs and on GPUs apart, then what is paid by the request, what nobody waits for, and the others."""
    if option.mode not in SAGEMAKER:
        return "elsewhere"
    return "offline" if option.mode in OFFLINE else option.candidate.host.kind


def option_document(option: Option) -> dict[str, Any]:
    candidate, scaled = option.candidate, option.candidate.scaled
    return {
        "model": candidate.model.id,
        "engine": candidate.engine,
        "dtype": candidate.dtype,
        "mode": option.mode,
        "region": option.region,
        **candidate.host.option,
        "count": option.count,
        "least_count": option.sizing.least,
        "monthly_cost": plain(option.monthly_cost),
        "complete": option.complete,
        "cost_per_million_documents": plain(option.cost_per_million_documents),
        "cost_per_thousand_queries": plain(option.cost_per_thousand_queries),
        "documents_per_second": option.documents_per_second,
        "p50_ms": option.p50_ms,
        "p95_ms": option.p95_ms,
        "p99_ms": option.p99_ms,
        "response_times": option.timed,
        "utilisation": option.utilisation,
        "headroom": option.headroom,
        "cold_start_share": round(option.sizing.cold, 6),
        "memory_mb_needed": round(candidate.memory_needed),
        "memory_mb_available": candidate.host.memory_mb,
        "quality": option.quality,
        "speed_ratio": [_rounded(scaled.ratio_low), _rounded(scaled.ratio), _rounded(scaled.ratio_high)],
        "basis": candidate.basis,
        "pareto": option.pareto,
        "chosen": option.chosen,
        "components": [component_document(line) for line in option.components],
    }


def comparison_document(comparison: Comparison, prices: PriceBook) -> dict[str, Any]:
    """Every option and everything left out. Money in decimal strings, times in ms.

    `speed_ratio` is the compute time over that of the measured machine: the least it may be, the expected, the most.
    """
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "currency": prices.header.currency,
        "region": comparison.region,
        "regions": comparison.regions,
        "prices": prices_document(prices, *comparison.regions),
        "workload": msgspec.to_builtins(comparison.workload),
        "choice": {
            "reason": comparison.reason,
            "chosen": option_document(comparison.chosen) if comparison.chosen else None,
            "runner_up": option_document(comparison.runner_up) if comparison.runner_up else None,
            "cheaper_if_fast": option_document(comparison.cheaper) if comparison.cheaper else None,
            "at_slow_end": _slow_document(comparison) if comparison.chosen else None,
        },
        "options": [option_document(option) for option in comparison.options],
        "left_out": [{"option": item.option, "reason": item.why.reason} for item in comparison.left_out],
    }


def _slow_document(comparison: Comparison) -> dict[str, Any]:
    """Of the chosen one if it is as slow as it may be: what it needs then, and how fast it answers by closed forms;
    None where nothing is enough."""
    slow = comparison.slow_end
    return {
        "within_limits": comparison.sure,
        "count": None if slow is None else slow.count,
        "monthly_cost": None if slow is None else plain(slow.monthly_cost),
        "p95_ms": None if slow is None else slow.p95_ms,
    }


def shown_options(
    comparison: Comparison, top: int, sort: Sort = "model", refine: Callable[[Option], Option] | None = None
) -> list[Option]:
    """Of each model and kind the best `top`, all if 0: within the limits before beyond them, then cheapest.

    The chosen one and the next are always shown. With `refine` their response times are bettered, and who then breaks
    a limit gives way to the next, TRIES times. Sorted by model and kind, or all by one figure, the best first.
    """
    options = comparison.options
    order = {model: at for at, model in enumerate(dict.fromkeys(option.candidate.model.id for option in options))}
    groups = {id(option): (order[option.candidate.model.id], KINDS.index(kind(option))) for option in options}

    def rank(option: Option) -> tuple[Any, ...]:
        return (*groups[id(option)], not meets(option, comparison.workload))

    shown: list[Option] = []
    ranked = sorted(options, key=rank)  # they come by cost and p95, which a stable sort keeps
    for _, members in groupby(ranked, key=lambda option: groups[id(option)]):
        group = list(members)
        always = [
            option
            for option in group
            if option.chosen or option is comparison.runner_up or option is comparison.cheaper
        ]
        best = _best(group, top, comparison.workload, refine) if top else group
        shown += best + [option for option in always if not any(_is(option, other) for other in best)]
    return shown if sort == "model" else sorted(shown, key=KEYS[sort])


def _best(
    group: Sequence[Option], top: int, workload: Workload, refine: Callable[[Option], Option] | None
) -> list[Option]:
    """The first `top`; of those that `refine` finds beyond a limit so many as are missing come after the others."""
    if refine is None:
        return list(group[:top])
    kept: list[Option] = []
    beyond: list[Option] = []
    for option in group[: top + TRIES]:
        refined = refine(option)
        (kept if meets(refined, workload) else beyond).append(refined)
        if len(kept) == top or not meets(option, workload):  # those that come now are beyond a limit anyway
            break
    return (kept + beyond + [refine(option) for option in group[len(kept) + len(beyond) : top]])[:top]


def _is(one: Option, other: Option) -> bool:
    return (one.candidate is other.candidate) and (one.mode, one.region) == (other.mode, other.region)


def comparison_columns(comparison: Comparison) -> tuple[Column, ...]:
    """COLUMNS, with the region where there are several and the name of what quality is judged by."""
    name = comparison.workload.quality_name
    title = "BEIR" if name.startswith("BEIR") else name
    columns = [Column(title, "right") if column.name == "BEIR" else column for column in COLUMNS]
    if len(comparison.regions) > 1:
        columns.insert(2, Column("Region"))
    return tuple(columns)


def comparison_rows(comparison: Comparison, shown: Sequence[Option]) -> list[tuple[str, ...]]:
    """Rows under `comparison_columns`."""
    several = len(comparison.regions) > 1
    limited = comparison.workload.slo_ms is not None
    sure = surely(shown) if limited else [True] * len(shown)
    return [
        _row(option, comparison.workload, region=several, sure=surely)
        for option, surely in zip(shown, sure, strict=True)
    ]


def comparison_notes(comparison: Comparison, shown: Sequence[Option]) -> list[str]:
    """What stands below the table."""
    lines = []
    if hidden := len(comparison.options) - len(shown):
        lines.append(f"… {hidden} more: --top 0")
    lines += LEGEND
    lines += _timing(shown)
    if not all(option.complete for option in shown):
        lines.append(AT_LEAST)
    elsewhere = dict.fromkeys(option.mode for option in shown if option.mode not in SAGEMAKER)
    if elsewhere:
        lines.append(NEVER_CHOSEN.format(", ".join(elsewhere)))
    if any(not option.candidate.opted_in for option in shown):
        lines.append(OPT_IN)
    lines += _marked(comparison)
    if (chosen := comparison.chosen) is not None:
        lines += ["", *_choice(comparison, chosen)]
    if reasons := left_out_lines(comparison):
        lines += ["", "Left out:", *(f"  {reason}" for reason in reasons)]
    return lines


def left_out_lines(comparison: Comparison) -> list[str]:
    """Reasons with what each keeps out: a place for every model, or one model in one place. The commonest first."""
    whole = [item for item in comparison.left_out if set(item.option) == {"mode"}]
    counts = Counter(
        ("model" in item.option, item.why.heading) for item in comparison.left_out if set(item.option) != {"mode"}
    )
    return [f"{item.option['mode']}: {item.why.heading}" for item in whole] + [
        f"{count} × {reason}{'' if of_a_model else ' (for every model)'}"
        for (of_a_model, reason), count in counts.most_common()
    ]


def reason_lines(comparison: Comparison) -> list[str]:
    """What was chosen, and why, a line for each part of the reason; empty where nothing was."""
    chosen = comparison.chosen
    if chosen is None:
        return []
    praise, *rest = comparison.reason.split("; ")
    return [f"✓ {chosen.label}, {chosen.dollars_a_month}: {praise}", *(f"  {line}" for line in rest)]


def _choice(comparison: Comparison, chosen: Option) -> list[str]:
    lines = reason_lines(comparison)
    growth = comparison.workload.growth
    if growth is not None and chosen.lasts_until is not None:
        lines.append(f"  as traffic grows its room lasts until month {chosen.lasts_until}; --month looks further on")
    return lines + _better(comparison, chosen) + _cheaper_elsewhere(comparison, chosen)


def _better(comparison: Comparison, chosen: Option) -> list[str]:
    """The cheapest way to the best quality within the limits, if that is not what was chosen."""
    workload = comparison.workload
    known = [option for option in comparison.options if option.quality is not None and may_be_chosen(option, workload)]
    within = [option for option in known if meets(option, workload)]
    best = max(within, key=lambda option: (option.quality, -option.monthly_cost, -option.p95_ms), default=chosen)
    if best.quality is None or best.quality <= (chosen.quality or 0.0):
        return []
    name = "BEIR" if workload.quality_name.startswith("BEIR") else workload.quality_name
    return [
        f"  best quality within the limits: {comparison.named(best)}, {name} {best.quality:g}, for "
        f"{best.dollars_a_month} at a p95 of {best.p95_ms:,.0f} ms; --min-quality sets a floor",
    ]


def _cheaper_elsewhere(comparison: Comparison, chosen: Option) -> list[str]:
    """The cheapest of the others within the limits, where one is cheaper."""
    workload = comparison.workload
    cheaper = (
        option
        for option in comparison.options
        if option.mode not in SAGEMAKER and meets(option, workload) and option.monthly_cost < chosen.monthly_cost
    )
    option = next(cheaper, None)
    if option is None:
        return []
    return [
        f"  outside SageMaker: {comparison.named(option)}, {option.dollars_a_month} at a p95 of {option.p95_ms:,.0f} ms"
    ]


def _row(option: Option, workload: Workload, *, region: bool, sure: bool) -> tuple[str, ...]:
    candidate = option.candidate
    mark = "✓" if option.chosen else "◆" if option.pareto else " "
    slow = "!" if not is_fast(option, workload) else "" if sure else "~"
    poor = "" if is_good(option, workload) else "!"
    dear = "" if is_affordable(option, workload) else "!"
    quality = "?" if option.quality is None else _short(option.quality)
    beyond = f"{BEYOND if candidate.speed.beyond else ''}{PART if candidate.speed.part else ''}"
    return (
        mark,
        candidate.model.alias,
        *([option.region] if region else []),
        place(option.mode, candidate.host),
        count(option),
        candidate.dtype,
        dear + cents(option.monthly_cost, complete=option.complete),
        cents(option.cost_per_million_documents, complete=option.complete),
        cents(option.cost_per_thousand_queries, complete=option.complete),
        slow + "/".join(_time(time) for time in (option.p50_ms, option.p95_ms, option.p99_ms)),
        f"{option.utilisation:.0%}",
        room(option),
        f"{candidate.memory_needed / 1024:.1f}/{candidate.host.memory_mb / 1024:g}",
        f"{poor}{quality}",
        f"{_basis(option)} {beyond}".rstrip(),
    )


def place(mode: Mode, host: Host) -> str:
    """Where and how something runs, without the count."""
    return f"{host.label} {mode}" if mode in ("autoscaled", "provisioned", "async", "batch") else host.label


def count(option: Option) -> str:
    match option.mode:
        case "autoscaled":
            return f"{option.sizing.least}–{option.count}"
        case "async":
            return f"0–{option.count}"
    return str(option.count)


def room(option: Option) -> str:
    """Headroom as a percentage; above tenfold as a factor."""
    headroom = option.headroom
    if headroom is None:
        return "any"
    if headroom <= -1:
        return "none"
    return f"{headroom:+.0%}" if headroom < 10 else f"×{1 + headroom:,.0f}"


def _time(ms: float) -> str:
    """In ms; what takes minutes, in minutes or hours. Infinite where so many are refused."""
    if not math.isfinite(ms):
        return "refused"
    if ms < 100_000:
        return f"{ms:,.0f}"
    return f"{ms / 60_000:.0f}min" if ms < 6_000_000 else f"{ms / 3_600_000:.0f}h"


def _short(quality: float) -> str:
    return f"{quality:.1f}" if quality > 1 else f"{quality:.3f}"


def _rounded(ratio: float) -> float:
    return float(f"{ratio:.4g}")


def _basis(option: Option) -> str:
    """The word for how its speed is known; that it is extrapolated, a mark tells."""
    words, _, _ = option.candidate.scaled.basis.partition(":")
    return words.partition(",")[0]


def _timing(shown: Sequence[Option]) -> list[str]:
    """How the response times of the rows were worked out."""
    ways = Counter(option.timed for option in shown)
    told = ", ".join(f"{way}: {number}" if len(ways) > 1 else way for way, number in ways.most_common())
    return [f"response times in the busiest hour, of what scales over the week; rows by {told}"] if shown else []


def _marked(comparison: Comparison) -> list[str]:
    """What the marks of beyond and of part mean, for each model that has one."""
    lines: dict[str, None] = {}
    for speed, alias in {
        id(option.candidate.speed): (option.candidate.speed, option.candidate.model.alias)
        for option in comparison.options
    }.values():
        if speed.beyond:
            lines[f"{BEYOND} {alias} is extrapolated: {speed.beyond}"] = None
        if speed.part:
            lines[f"{PART} {alias} {speed.part}, and competes all the same"] = None
    return list(lines)
