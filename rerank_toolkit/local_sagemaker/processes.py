"""Finding and ending the processes that a local AWS started, also when its server is no longer there to do it."""

from __future__ import annotations

import time

import psutil

SERVER_MARK = "RERANK_LOCAL_SERVER_OF"
ENDPOINT_MARK = "RERANK_LOCAL_ENDPOINT_OF"
REAPER_MARK = "RERANK_LOCAL_REAPER_OF"
"""Set in the environment of a local AWS's processes, each kind its own; the value is the state directory."""

_KINDS = (SERVER_MARK, ENDPOINT_MARK, REAPER_MARK)
"""In the order of their ending: the server ends its own endpoints, the reaper stays for what is left."""

_GRACE_S = {SERVER_MARK: 20.0, ENDPOINT_MARK: 3.0, REAPER_MARK: 3.0}
_KILL_S = 3.0
_POLL_S = 0.02


def is_marked(process: psutil.Process, variable: str, mark: str) -> bool:
    """Whether the process runs as this user with the mark in its environment. Unlike the time of its start, which
    follows the clock, the environment is the same for as long as it lives."""
    try:
        return bool(process.environ().get(variable) == mark and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
        return False  # someone else's, or gone


def find_marked(mark: str, variable: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if is_marked(process, variable, mark)]


def end_all(mark: str) -> tuple[bool, list[int]]:
    """Ends whatever belongs to the mark: whether that was more than a reaper, and the pids that outlived SIGKILL."""
    found, alive = False, []
    for variable in _KINDS:
        processes = find_marked(mark, variable)
        found = found or (bool(processes) and variable != REAPER_MARK)
        alive += end(processes, _GRACE_S[variable])
    return found, alive


def end_endpoints(mark: str) -> None:
    """Ends the endpoints' processes, first asking."""
    end(find_marked(mark, ENDPOINT_MARK), _GRACE_S[ENDPOINT_MARK])


def end(processes: list[psutil.Process], grace_s: float) -> list[int]:
    """SIGTERM, and SIGKILL for those that have not ended when the grace is over; pids of those alive even then."""
    for process in processes:
        _signal(process, "terminate")
    alive = _wait(processes, grace_s)
    for process in alive:
        _signal(process, "kill")
    return [process.pid for process in _wait(alive, _KILL_S)]


def _wait(processes: list[psutil.Process], limit_s: float) -> list[psutil.Process]:
    """Those that still run. A zombie has ended, though its parent may never ask for it."""
    deadline = time.monotonic() + limit_s
    while (alive := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return alive


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, method: str) -> None:
    try:
        getattr(process, method)()
    except psutil.NoSuchProcess:
        return  # which is what was wanted
