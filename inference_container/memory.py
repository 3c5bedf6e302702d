"""What the processes of this server hold in memory.

Pages that several processes hold, such as the mapped weights, count once: Linux tells each process's proportional
share of its resident pages. Elsewhere, and in sandboxes without it, the sum of the resident pages stands in, which
counts them more than once.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 1 << 20

_REFRESH_S = 1.0
"""The kernel walks all pages of a process to tell its share: milliseconds."""


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Bytes."""

    resident: int
    peak: int
    """Most that was resident at once."""
    shared: int
    """Of what is resident, the part that is counted for other processes which hold the same pages."""


def process_memory(pid: int, root: Path = Path("/")) -> ProcessMemory | None:
    """Of one process, None if it has ended; `root` is where /proc is found."""
    try:
        resident = psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return None
    rollup = _kilobytes(root / f"proc/{pid}/smaps_rollup")
    shared = (rollup["Rss"] - rollup["Pss"]) * 1024 if {"Rss", "Pss"} <= rollup.keys() else 0
    peak = _kilobytes(root / f"proc/{pid}/status").get("VmHWM")
    return ProcessMemory(resident, peak * 1024 if peak else max(resident, _peak_of_children_or_self(pid)), shared)


def _peak_of_children_or_self(pid: int) -> int:
    # ru_maxrss would count what the parent held when it forked this process; but some sandboxes' kernels lack VmHWM.
    if pid != os.getpid():
        return 0
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _kilobytes(path: Path) -> dict[str, int]:
    """The lines `Name:  123 kB` of a kernel's file; none where it can't be read."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines)
    return {field[0].rstrip(":"): int(field[1]) for field in fields if len(field) == 3 and field[2] == "kB"}


class ServerMemory:
    """Of several processes together: `pids` names those that run, whenever it is asked."""

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids
        self._measured_at = 0.0
        self._now: dict[str, int] = {}
        self._peak = 0

    def by_process(self) -> Mapping[str, float]:
        """Bytes of each by its name, at most a second old."""
        self._refresh()
        return dict(self._now)

    def now_and_peak_mib(self) -> tuple[float, float]:
        """Of all. The peak is an upper bound: that of each process, whenever it was, less what is shared now."""
        self._refresh()
        return sum(self._now.values()) / MIB, self._peak / MIB

    def _refresh(self) -> None:
        if self._measured_at and time.monotonic() - self._measured_at < _REFRESH_S:
            return
        self._measured_at = time.monotonic()
        read = {name: process_memory(pid) for name, pid in self._pids().items()}
        found = {name: memory for name, memory in read.items() if memory}
        self._now = {name: memory.resident - memory.shared for name, memory in found.items()}
        self._peak = max(self._peak, sum(memory.peak - memory.shared for memory in found.values()))
