"""`python -m demo`: weights → package → local AWS → deploy → ask → measure → price → tear down.

Uses the public commands alone: `rerank`, stock `cdk`, stock boto3. Needs no AWS account and touches none.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from demo.commands import StepFailed
from demo.narrator import Narrator
from demo.stages import STAGES, TEAR_DOWN, Run, Stage

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".demo"
INTERRUPTED = 130
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """The exit code: 0, 1 where a step failed, 130 where it was interrupted."""
    os.chdir(ROOT)
    _prepare_environment()
    with _only_one_run():
        shutil.rmtree(FOLDER / "logs", ignore_errors=True)
        with Narrator(FOLDER / "output.txt", steps=len(STAGES) + 1) as narrator:
            return _follow(Run(narrator, FOLDER))


def _follow(run: Run) -> int:
    start = time.monotonic()
    failures: list[tuple[Stage, StepFailed]] = []
    for ending in _ENDINGS:
        signal.signal(ending, _interrupt_once)
    interrupted = False
    try:
        for number, stage in enumerate(STAGES, start=1):
            _take(number, stage, run, failures)
            if failures:
                break
    except KeyboardInterrupt:
        interrupted = True
        run.narrator.notice("Interrupted; tearing down what was started.")
    _ignore_endings()
    if run.started:
        _take(len(STAGES) + 1, TEAR_DOWN, run, failures)
    for stage, failure in failures:
        _explain(run.narrator, stage, failure)
    if interrupted:
        return INTERRUPTED
    if failures:
        return 1
    run.narrator.show(
        f"\n{time.monotonic() - start:.0f} s in all. This output is kept in {_short(FOLDER / 'output.txt')}"
    )
    return 0


def _take(number: int, stage: Stage, run: Run, failures: list[tuple[Stage, StepFailed]]) -> None:
    try:
        with run.narrator.step(number, stage.name) as ticker:
            stage.act(run, ticker)
    except StepFailed as failure:
        failures.append((stage, failure))


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    # What follows is the tear-down, and a second Ctrl-C must not leave it half done.
    _ignore_endings()
    raise KeyboardInterrupt


def _ignore_endings() -> None:
    # A handler that does nothing, not SIG_IGN: that the commands would inherit, and be deaf themselves.
    for ending in _ENDINGS:
        signal.signal(ending, lambda *_: None)


def _explain(narrator: Narrator, stage: Stage, failure: StepFailed) -> None:
    narrator.notice(f"\nThe step “{stage.name}” failed: {failure.cause}")
    lines = failure.last_lines()
    if failure.log is not None and lines:
        narrator.notice(f"Its log is {_short(failure.log)}; the end of it:")
        for line in lines:
            narrator.notice(f"    {line}")
    narrator.notice(f"What to do: {stage.remedy}")


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _prepare_environment() -> None:
    # Nothing of the user's own AWS set-up may reach the tools: only what `rerank local up` says.
    for name in [name for name in os.environ if name.startswith(("AWS_", "CDK_DEFAULT_"))]:
        del os.environ[name]
    os.environ["RERANK_LOCAL_STATE"] = str(FOLDER / "local")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


@contextmanager
def _only_one_run() -> Iterator[None]:
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another demo is running in {ROOT}; wait for it to end")
        yield


if __name__ == "__main__":
    sys.exit(main())
