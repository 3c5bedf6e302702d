"""Steps end in words: which one failed, where its log is, what to do. Nothing they started stays."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import demo
from demo.commands import StepFailed, run
from demo.narrator import Narrator


def quiet(_: str) -> None:
    return


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command_gives_its_output_and_logs_all_of_it(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "1.log"
    command = python("import sys; print('data'); print('progress', file=sys.stderr)")

    assert run(command, log=log, timeout_s=60, tick=quiet) == "data\n"
    assert log.read_text().splitlines()[0].startswith(f"$ {sys.executable} -c")
    assert log.read_text().splitlines()[1:] == ["progress", "data"]


def test_a_failing_command_is_named_with_its_code_and_last_words(tmp_path: Path) -> None:
    log = tmp_path / "1.log"
    command = python("import sys; print('\\n'.join(map(str, range(100))), file=sys.stderr); sys.exit(7)")

    with pytest.raises(StepFailed, match="ended with code 7") as caught:
        run(command, log=log, timeout_s=60, tick=quiet)
    assert caught.value.log == log
    assert caught.value.last_lines() == [str(number) for number in range(88, 100)]


def test_a_missing_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="there is no `no-such-command` on the PATH"):
        run(["no-such-command"], log=tmp_path / "1.log", timeout_s=60, tick=quiet)


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child.pid"
    command = python(
        "import pathlib, subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        f"pathlib.Path({str(child)!r}).write_text(str(child.pid)); print('waiting', file=sys.stderr, flush=True);"
        "time.sleep(600)"
    )
    seen: list[str] = []
    with pytest.raises(StepFailed, match="did not end within 2 s"):
        run(command, log=tmp_path / "1.log", timeout_s=2, tick=seen.append)

    assert seen[-1] == "waiting"
    assert has_ended(int(child.read_text()))


def has_ended(pid: int) -> bool:
    """Waits for an orphan to be gone, or to be a zombie that nobody has reaped."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(200):
        try:
            if stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_results_are_kept_as_plain_text_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Narrator(tmp_path / "output.txt", steps=2) as narrator:
        with narrator.step(1, "Weigh") as ticker:
            ticker.tick("half")
        narrator.show("a figure")
        narrator.show_output("a line " + "that goes on " * 20 + "\n")
        with pytest.raises(StepFailed), narrator.step(2, "Sell"):
            raise StepFailed("no buyer")
    kept = (tmp_path / "output.txt").read_text()

    assert [line.rstrip("0123456789. s") for line in kept.splitlines()] == [
        "✓ 1/2 Weigh",
        "a figure",
        "",
        "a line " + ("that goes on " * 20).strip(),
        "",
        "✗ 2/2 Sell",
    ]
    shown = capsys.readouterr()
    assert [line.rstrip() for line in shown.out.splitlines()] == kept.splitlines()
    assert shown.err.splitlines() == ["1/2 Weigh …", "2/2 Sell …"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the demo alone, so that its runs write nothing into this repository."""
    shutil.copytree(Path(demo.__file__).parent, tmp_path / "demo")
    return tmp_path


def start(checkout: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "AWS_PROFILE": "one-that-must-not-be-used"}
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_failing_step_names_itself_its_log_and_what_to_do(checkout: Path) -> None:
    (checkout / "artifacts").write_text("a file where the package command needs a folder")

    process = start(checkout)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 1, err
    assert out.startswith("✗ 1/7 Package the default model")
    assert "The step “Package the default model” failed: `rerank package minilm-l12" in err
    assert "Its log is .demo/logs/1-package.log" in err
    assert "What to do: " in err
    assert "Traceback" not in err
    assert "$ rerank package" in (checkout / ".demo/logs/1-package.log").read_text()


def test_a_second_demo_in_the_same_checkout_is_refused(checkout: Path) -> None:
    lock = checkout / ".demo" / "lock"
    lock.parent.mkdir()
    holder = subprocess.Popen(
        python(
            f"import fcntl, time; f = open({str(lock)!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True);"
            "time.sleep(600)"
        ),
        stdout=subprocess.PIPE,
    )
    try:
        assert isinstance(holder.stdout, io.BufferedReader)
        holder.stdout.readline()
        process = start(checkout)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert err == f"another demo is running in {checkout}; wait for it to end\n"
    finally:
        holder.kill()
        holder.communicate()


def test_ctrl_c_ends_it_with_130(checkout: Path) -> None:
    process = start(checkout)
    assert process.stderr is not None
    assert process.stderr.readline() == "1/7 Package the default model …\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert out.startswith("✗ 1/7 Package the default model")
    assert err.endswith("Interrupted; tearing down what was started.\n")
