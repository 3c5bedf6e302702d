"""The first simulation on a machine is compiled, which takes seconds: whoever waits is told so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMPARE = ("cost", "compare", "--model", "tiny", "--instance", "ml.c7i.xlarge", "--mode", "realtime", "--json")


def compare(**environment: str) -> str:
    """What it says on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.cli", *COMPARE],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.stdout.startswith("{")
    return done.stderr


def test_it_is_said_once_and_then_never_again(tmp_path: Path) -> None:
    first, second = (compare(NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))

    assert first.count("compiling the simulation, once on this machine") == 1
    assert "compiling" not in second


def test_where_no_folder_keeps_it_that_is_said_too() -> None:
    said = compare(NUMBA_CACHE_DIR="/proc/nowhere")

    assert "each time" in said
    assert "NUMBA_CACHE_DIR names a folder that keeps it" in said


def test_what_is_compiled_into_a_function_from_other_files_is_compiled_anew_when_they_change(tmp_path: Path) -> None:
    package = tmp_path / "outer" / "inner"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    head = "from cost_model.simulate.compiling import compiled\n"
    (package / "callee.py").write_text(
        f"{head}from outer.constants import ADDED\n@compiled\ndef more(x): return x + ADDED\n"
    )
    (package / "caller.py").write_text(
        f"{head}from outer.inner.callee import more\n@compiled\ndef run(x): return more(x)\n"
    )

    def run(added: int) -> str:
        (tmp_path / "outer" / "constants.py").write_text(f"ADDED = {added}\n")
        code = "from outer.inner.caller import run; print(run(1), len(run.stats.cache_hits))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
        return done.stdout.strip()

    assert [run(1), run(1), run(2)] == ["2 0", "2 1", "3 0"]
