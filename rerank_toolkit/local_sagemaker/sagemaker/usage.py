"""CPU time and memory of a container: its process and those that it has started."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_s: float
    """Since the start of each process."""
    held_mib: float
    """Memory that can't be given back to the kernel without killing: pages of files, such as mapped weights, can."""


def measure(pid: int) -> Usage:
    """All zero for one that has ended."""
    cpu_s = held = 0.0
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return Usage(0.0, 0.0)
    for process in family:
        try:
            times, memory = process.cpu_times(), process.memory_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        cpu_s += times.user + times.system
        held += max(0, memory.rss - getattr(memory, "shared", 0))
    return Usage(cpu_s, held / MIB)
