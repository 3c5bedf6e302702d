"""One worker: `python -m inference_container.workers FD SPEC`, started by the front with its end of a socketpair.

It ends when the front does: the socket says so between batches, and on Linux the kernel in the midst of one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from inference_container.workers.spec import WorkerSpec

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> int:
    fd, spec = int(arguments[0]), msgspec.json.decode(arguments[1], type=WorkerSpec)
    _belong_to(spec.parent)
    if spec.cores:
        os.sched_setaffinity(0, spec.cores)
    # Imported now: libraries start threads when they are imported, as many as there are cores, and on those.
    from inference_container.workers.serving import run  # noqa: PLC0415

    with socket.socket(fileno=fd) as sock, suppress(BrokenPipeError, ConnectionResetError, EOFError):
        return run(sock, spec)
    return 0  # the front has ended: so does this


def _belong_to(parent: int) -> None:
    """Ends with the front, by its decision alone, and before it where memory runs out."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all processes of a terminal or container
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):  # not where /proc is read-only
            Path("/proc/self/oom_score_adj").write_text("500")
    if os.getppid() != parent:  # it ended before the kernel was told
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
