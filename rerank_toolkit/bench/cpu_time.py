"""Whose the processor was: the load generator's, the server's front's, its workers', or somebody else's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import psutil

from rerank_toolkit.bench.process_tree import family


class CpuTimes(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds between two moments. None for what can't be told from here."""

    wall_s: float
    generator_s: float
    """This process: reading and writing of requests."""
    front_s: float | None
    """The server's first process: HTTP, JSON, tokenising, batching."""
    workers_s: float | None
    """The processes below it, which compute."""
    others_s: float | None
    """Everybody else on the machine."""
    stolen_s: float | None
    """Time in which the machine had work, and its host ran another one instead."""

    def share(self, seconds: float | None, cores: int) -> float | None:
        """Of all the time that `cores` had."""
        return None if seconds is None else seconds / (self.wall_s * cores)


@dataclass(frozen=True, slots=True)
class _Moment:
    at: float
    own: Mapping[int, float]
    """CPU seconds by process."""
    busy: float
    stolen: float


class CpuWatch:
    """CPU times since it was made, of this process and the server `server_pid`, if that is of this machine."""

    def __init__(self, server_pid: int | None) -> None:
        self._server_pid = server_pid
        self._start = self._look()

    def so_far(self) -> CpuTimes:
        start, end = self._start, self._look()
        spent = {pid: seconds - start.own.get(pid, 0.0) for pid, seconds in end.own.items()}
        generator = spent.pop(psutil.Process().pid)
        front = spent.pop(self._server_pid, 0.0) if self._server_pid else None
        workers = sum(spent.values()) if self._server_pid else None
        stolen = end.stolen - start.stolen
        others = None
        if front is not None and workers is not None:  # else the server may be among the others
            others = round(max(0.0, end.busy - start.busy - generator - front - workers), 3)
        return CpuTimes(
            wall_s=round(end.at - start.at, 3),
            generator_s=round(generator, 3),
            front_s=None if front is None else round(front, 3),
            workers_s=None if workers is None else round(workers, 3),
            others_s=others,
            stolen_s=round(stolen, 3),
        )

    def _look(self) -> _Moment:
        own = {process.pid: _seconds(process) for process in self._processes()}
        machine = psutil.cpu_times()
        waiting = machine.idle + getattr(machine, "iowait", 0.0)
        stolen = getattr(machine, "steal", 0.0)
        guests = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)  # counted in user and nice too
        return _Moment(time.monotonic(), own, sum(machine) - waiting - stolen - guests, stolen)

    def _processes(self) -> list[psutil.Process]:
        return [psutil.Process(), *(family(self._server_pid) if self._server_pid else [])]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # ended since it was listed
        return 0.0
    return float(times.user + times.system)
