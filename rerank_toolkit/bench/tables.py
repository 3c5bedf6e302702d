"""benchmarks/*.json as tables, and docs/benchmarks.md kept equal to them.

In the document, what stands between `<!-- figures: NAME -->` and `<!-- end of figures -->` is the table of
benchmarks/NAME.json; the prose around it is people's.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rerank_toolkit.bench.results import (
    Conditions,
    DrainReport,
    Efficiency,
    EngineComparison,
    Fairness,
    FootprintReport,
    LoadReport,
    Measured,
    ModelComparison,
)
from rerank_toolkit.contracts import documents

DOCUMENT = Path("docs/benchmarks.md")
_BLOCK = re.compile(r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def render(folder: Path, name: str) -> str:
    """The tables of `folder`/NAME.json in markdown; raises InvalidInput if it can't be read."""
    kind, show = _KINDS[name]
    return "\n\n".join(show(documents.read(folder / f"{name}.json", kind)))


def show(report: object) -> str:
    """The tables of a report that was just made."""
    return "\n\n".join(next(show(report) for kind, show in _KINDS.values() if isinstance(report, kind)))


def renew(document: Path, folder: Path) -> bool:
    """Writes into `document` the tables of all files of `folder` that it has places for; whether it changed."""
    text = document.read_text(encoding="utf-8")
    renewed = renewed_text(text, folder)
    if renewed != text:
        document.write_text(renewed, encoding="utf-8")
    return renewed != text


def renewed_text(text: str, folder: Path) -> str:
    """`text` with the tables of the files that `folder` holds; a place without a file says that it is unmeasured."""

    def block(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        measured = name in _KINDS and (folder / f"{name}.json").is_file()
        return f"{start}\n{render(folder, name) if measured else 'Not measured yet.'}\n\n{end}"

    return _BLOCK.sub(block, text)


def _engines(found: EngineComparison) -> list[str]:
    ours = [side.name for side in found.ours]
    rows = [_side_row(side, ["" for _ in ours]) for side in found.ours]
    rows += [_side_row(side, [_times(side.times_ours.get(name)) for name in ours]) for side in found.rivals]
    heads = [
        "side",
        "precision",
        "documents/s",
        "median ms",
        "peak RSS MiB",
        "Spearman",
        *(f"{name} is × it" for name in ours),
    ]
    parts = [
        _under(found.conditions),
        f"Weights: {found.weights}. {found.rounds} interleaved rounds, medians. Spearman: of the logits with those of "
        f"{found.reference}.",
        _table(heads, rows),
        _table(
            ["ours", "outside queue and compute, ms", "share of the request"],
            [[one.name, f"{one.median_ms:.1f}", f"{one.share:.1%}"] for one in found.surroundings],
        ),
        _efficiency(found.efficiency),
        _versions(found.ours, found.rivals),
    ]
    if found.left_out:
        parts.append("Left out: " + "; ".join(f"{one.name}: {_one_line(one.reason)}" for one in found.left_out))
    return parts


def _models(found: ModelComparison) -> list[str]:
    rows = [
        [
            side.name,
            f"{side.documents_per_second:,.1f}",
            f"{side.median_ms:,.0f}",
            _mib(side.peak_rss_mib),
            _times(found.times_slowest[side.name]),
        ]
        for side in found.models
    ]
    heads = ["model", "documents/s", "median ms", "peak RSS MiB", f"× {found.slowest}"]
    return [
        _under(found.conditions),
        f"{found.engine} {found.dtype}, seeded random weights, {found.rounds} interleaved rounds, medians.",
        _table(heads, rows),
        _efficiency(found.efficiency),
    ]


def _footprint(found: FootprintReport) -> list[str]:
    rows = [
        [
            f"{one.workers}",
            f"{statistics.median(one.ready_s):.2f} ({min(one.ready_s):.2f} to {max(one.ready_s):.2f})",
            f"{one.idle_pss_mib:,.0f}",
            f"{one.peak_pss_mib:,.0f}",
            f"{one.peak_rss_mib:,.0f}",
            f"{one.long_peak_pss_mib:,.0f}",
            f"{one.long_peak_rss_mib:,.0f}",
            f"{one.long_documents / one.long_seconds:.1f}",
        ]
        for one in found.footprints
    ]
    long = found.footprints[0].long_tokens
    heads = ["workers", "ready, s", "idle PSS", "peak PSS", "peak RSS"]
    heads += [f"{long:,} tokens: peak PSS", "peak RSS", "documents/s"]
    return [
        _under(found.conditions),
        f"{found.model}, {found.engine} {found.dtype}; memory in MiB over all processes. PSS counts a shared page "
        "once; RSS here is the sum of each process's own peak, so no less than what they held at once. "
        f"Ready: median (range) of {len(found.footprints[0].ready_s)} starts.",
        _table(heads, rows),
    ]


def _fairness(found: Fairness) -> list[str]:
    rows = [
        [where, f"{statistics.median(samples):,.1f}", f"{p95:,.1f}", f"{len(samples)}"]
        for where, samples, p95 in (
            ("idle", found.idle_ms, found.idle_p95_ms),
            (f"{found.large_documents:,} documents in service", found.loaded_ms, found.loaded_p95_ms),
        )
    ]
    return [
        _under(found.conditions),
        f"{found.model}, {found.engine} {found.dtype}, {found.workers} workers: p95 is {found.times_idle:.2f} × that "
        f"of an idle server. A request of {found.large_documents:,} documents took "
        f"{statistics.median(found.large_ms) / 1e3:.1f} s meanwhile.",
        _table([f"{found.small_documents} documents, server", "median ms", "p95 ms", "requests"], rows),
    ]


def _load(found: LoadReport) -> list[str]:
    capacity = found.capacity_per_second
    multiple = f", {found.offered_per_second / capacity:.1f} × what it can answer" if capacity else ""
    rows = [
        ["sent", f"{found.sent:,}"],
        ["answered", f"{found.answered:,}"],
        ["refused", _counts(found.refused)],
        ["failed", _counts(found.failed)],
        ["hung", f"{found.hung}"],
    ]
    if found.workers_killed:
        rows.append(["workers killed", f"{found.workers_killed}"])
    for name, times in (("answered", found.accepted), ("refused", found.refusals)):
        if times:
            rows.append(
                [
                    f"{name}: p50, p95, p99, longest",
                    f"{times.p50_ms:,.0f}, {times.p95_ms:,.0f}, {times.p99_ms:,.0f}, {times.longest_ms:,.0f} ms",
                ]
            )
    if found.memory_growth_mib is not None:
        peak = max(point.mib for point in found.memory)
        rows.append(["memory", f"{peak:,.0f} MiB PSS at most, growth {found.memory_growth_mib:+,.0f} MiB"])
    return [
        _under(found.conditions),
        f"{found.model}, {found.engine} {found.dtype}, {found.workers} workers, {found.offered_per_second:.2f} "
        f"requests/s of {found.documents_per_request} documents{multiple}, for {found.seconds:.0f} s; "
        f"time limit {found.time_limit_s:g} s.",
        _table(["requests", ""], rows),
    ]


def _drain(found: DrainReport) -> list[str]:
    tries = found.tries
    rows = [
        ["tries", f"{len(tries)}"],
        ["in flight at SIGTERM, all tries", f"{sum(one.in_flight for one in tries)}"],
        ["lost", f"{sum(one.lost for one in tries)}"],
        ["longest from SIGTERM to the end", f"{max(one.seconds for one in tries):.1f} s"],
        ["exit codes", ", ".join(sorted({str(one.exit_code) for one in tries}))],
    ]
    return [_under(found.conditions), _table([found.model, ""], rows)]


_KINDS: Mapping[str, tuple[type[Any], Callable[[Any], list[str]]]] = {
    "engines": (EngineComparison, _engines),
    "models": (ModelComparison, _models),
    "footprint": (FootprintReport, _footprint),
    "fairness": (Fairness, _fairness),
    "overload": (LoadReport, _load),
    "killed-workers": (LoadReport, _load),
    "drain": (DrainReport, _drain),
}

NAMES = tuple(_KINDS)
"""Of the files, without .json."""


def _side_row(side: Measured, ratios: Sequence[str]) -> list[str]:
    return [
        side.name,
        side.precision,
        f"{side.documents_per_second:,.1f}",
        f"{side.median_ms:,.0f}",
        _mib(side.peak_rss_mib),
        f"{side.agreement.spearman:.4f}" if side.agreement else "reference",
        *ratios,
    ]


def _efficiency(found: Sequence[Efficiency]) -> str:
    rows = [
        [one.name, one.precision, f"{one.necessary_gflops:,.0f}", f"{one.peak_gflops:,.0f}", f"{one.share:.0%}"]
        for one in found
    ]
    heads = ["share of the machine's peak", "precision", "necessary GFLOP/s", "matrix products alone", "share"]
    return _table(heads, rows)


def _versions(*groups: Sequence[Measured]) -> str:
    versions: dict[str, str] = {}
    for side in (side for group in groups for side in group):
        name, *_ = side.name.split(",")
        software = ", ".join(f"{package} {version}" for package, version in side.software.items())
        versions.setdefault(software, name)
    return "Versions: " + "; ".join(f"{name}: {software}" for software, name in versions.items()) + "."


def _under(given: Conditions) -> str:
    hardware = given.hardware
    cores = "1 core" if hardware.physical_cores == 1 else f"{hardware.physical_cores} cores"
    return (
        f"`{given.command}` on {given.measured_at:%Y-%m-%d}: {hardware.cpu_model} ({hardware.instruction_set}), {cores}"
        f"; {given.workload}."
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} × {status}" for status, count in counts.items()) or "0"


def _mib(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column to the left, figures to the right."""
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
