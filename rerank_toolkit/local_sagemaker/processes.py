"""Finding and ending the processes that a local AWS started, also when its server is no longer there to do it."""

from __future__ import annotations

import psutil

from rerank_toolkit.local_sagemaker.sagemaker.container import MARK

SERVER_MARK = "RERANK_LOCAL_SERVER_OF"
"""Like MARK, for the server's own process: it is found even when its record is lost."""

_GRACE_S = 3.0


def find_marked(mark: str, variable: str = MARK) -> list[psutil.Process]:
    """Processes of this user in whose environment the variable holds the mark: endpoints, or the server itself."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == mark:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue  # someone else's, or gone
    return found


def end_marked(mark: str) -> None:
    """Ends the endpoints' processes, first asking."""
    end(find_marked(mark))


def end(processes: list[psutil.Process], grace_s: float = _GRACE_S) -> None:
    """SIGTERM, and SIGKILL for those that have not ended when the grace is over."""
    for process in processes:
        _signal(process, "terminate")
    _, alive = psutil.wait_procs(processes, timeout=grace_s)
    for process in alive:
        _signal(process, "kill")
    psutil.wait_procs(alive, timeout=grace_s)


def _signal(process: psutil.Process, method: str) -> None:
    try:
        getattr(process, method)()
    except psutil.NoSuchProcess:
        return  # which is what was wanted
