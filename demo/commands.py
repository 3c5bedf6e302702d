"""Running a public command: its output in a log, its end bounded, its failure in words."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile

_GRACE_S = 10.0
_TAIL_LINES = 12


class StepFailed(Exception):
    """A step could not do its work. `log` holds all that its command said."""

    def __init__(self, cause: str, *, log: Path | None = None) -> None:
        self.cause = cause
        self.log = log
        super().__init__(cause)

    def last_lines(self) -> list[str]:
        """The end of the log; empty without one."""
        if self.log is None or not self.log.exists():
            return []
        return self.log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()[-_TAIL_LINES:]


def run(command: Sequence[str], *, log: Path, timeout_s: float, tick: Callable[[str], None]) -> str:
    """Runs `command` and returns its stdout; `tick` gets the newest line of its stderr five times a second.

    `log` is appended to: the command line, its stderr, then its stdout. Raises StepFailed where the command is
    missing, ends with another code than 0 or takes more than `timeout_s`. Whatever ends this call early ends
    the command and its children too.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    line = shlex.join(command)
    with log.open("a", encoding="utf-8") as errors, TemporaryFile("w+", encoding="utf-8") as output:
        errors.write(f"$ {line}\n")
        errors.flush()
        try:
            # A session of its own: Ctrl-C reaches the demo alone, which then ends the command in good order.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
            )
        except FileNotFoundError:
            raise StepFailed(f"there is no `{command[0]}` on the PATH", log=log) from None
        try:
            code = _wait(process, log, timeout_s, tick)
        except subprocess.TimeoutExpired:
            raise StepFailed(f"`{line}` did not end within {timeout_s:g} s", log=log) from None
        finally:
            if process.poll() is None:
                _end(process)
            output.seek(0)
            answer = output.read()
            errors.write(answer)
    if code != 0:
        raise StepFailed(f"`{line}` ended with code {code}", log=log)
    return answer


def _wait(process: subprocess.Popen[bytes], log: Path, timeout_s: float, tick: Callable[[str], None]) -> int:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise
            tick(_newest_line(log))


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _newest_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip() and not line.startswith("$ ")), "")
