"""Memory of a server and of the processes that it started."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

MIB = 1 << 20


def family(pid: int) -> list[psutil.Process]:
    """The process `pid` and all below it; empty once it has ended."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def peak_rss_mib(pid: int) -> float:
    """Sum over the family of each process's highest resident memory so far.

    Never less than what they held at one moment: peaks may have been at different times, and pages that several
    share count for each.
    """
    return sum(_peak_bytes(process.pid) for process in family(pid)) / MIB


def pss_mib(pid: int) -> float:
    """What the family holds now, a page that n processes share counted as 1/n for each of them."""
    return sum(_pss_bytes(process) for process in family(pid)) / MIB


def _peak_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # ended since it was listed, or no Linux
        return 0
    peak = next((line for line in lines if line.startswith("VmHWM:")), None)
    return int(peak.split()[1]) * 1024 if peak else 0


def _pss_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(memory, "pss", memory.rss))


class MemoryPoint(msgspec.Struct, frozen=True):
    seconds: float
    """Since the watch began."""
    mib: float


@dataclass(slots=True)
class MemoryWatch:
    """While the block runs, looks at what the family of `pid` holds every `interval_s`."""

    pid: int
    interval_s: float
    points: list[MemoryPoint] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def peak_mib(self) -> float:
        return max((point.mib for point in self.points), default=0.0)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True, name="memory-watch")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _watch(self) -> None:
        start = time.monotonic()
        while True:
            self.points.append(MemoryPoint(round(time.monotonic() - start, 2), round(pss_mib(self.pid), 1)))
            if self._stop.wait(self.interval_s):
                break
