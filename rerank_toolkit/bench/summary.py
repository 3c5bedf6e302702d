"""A profile as people read it, and the name of its file."""

from __future__ import annotations

import re

from rerank_toolkit.contracts.profile import Cell, Profile

COLUMNS = (
    "documents",
    "tokens each",
    "tokens",
    "compute ms",
    "latency ms",
    "latency p95 ms",
    "documents/s",
    "samples",
)


def headline(profile: Profile) -> str:
    """What was measured, on what, and the figures that people compare."""
    hardware = profile.hardware
    machine = hardware.gpu or f"{hardware.cpu_model} ({hardware.instruction_set}), {profile.threads} threads"
    lines = [
        f"{profile.model_id}{' (seeded random weights: speed only)' if profile.seeded else ''}",
        f"{profile.engine} {profile.engine_version}, {profile.dtype}, on "
        f"{f'{hardware.instance}: ' if hardware.instance else ''}{machine}",
        f"{profile.documents_per_second:.3g} documents/s saturated; {profile.workload}",
        f"{profile.documents_per_50_ms:.2g} such documents within 50 ms, by one caller alone",
        f"memory {_memory(profile)}; start-up {_seconds(profile.startup_s)}",
    ]
    return "\n".join(lines)


def rows(profile: Profile) -> list[tuple[str, ...]]:
    """One line for each cell, in the order of COLUMNS."""
    return [_row(cell) for cell in profile.cells]


def file_name(profile: Profile) -> str:
    """MODEL-ENGINE-DTYPE-HARDWARE.json: profiles of different machines lie side by side in one folder."""
    hardware = profile.hardware
    machine = hardware.instance or hardware.gpu or f"{hardware.cpu_model} {profile.threads} threads"
    return f"{profile.model_id}-{profile.engine}-{profile.dtype}-{_slug(machine)}.json"


def _row(cell: Cell) -> tuple[str, ...]:
    return (
        f"{cell.documents:,}",
        f"{cell.tokens_per_document:,.0f}",
        f"{cell.tokens:,}",
        f"{cell.inference_ms:,.1f}",
        f"{cell.latency_ms:,.1f}",
        f"{cell.latency_p95_ms:,.1f}",
        f"{cell.documents / cell.latency_ms * 1000:,.1f}",
        f"{cell.samples}",
    )


def _memory(profile: Profile) -> str:
    if profile.memory is None:
        return "unknown"
    return f"{profile.memory.idle_mib:,.0f} MiB idle, {profile.memory.peak_mib:,.0f} MiB at its peak"


def _seconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:.1f} s"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
