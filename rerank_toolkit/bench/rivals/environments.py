"""The rivals' own virtual environments: what they need contradicts what this project needs, and each other."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rerank_toolkit.bench.errors import RivalUnavailable

Rival = Literal["sentence-transformers", "infinity"]
RIVALS: tuple[Rival, ...] = ("sentence-transformers", "infinity")

INSTALL_TIMEOUT_S = 1800
LINES_SHOWN = 6
_STAMP = "installed.sha256"
"""Says which requirements an environment was made from; written when pip has finished, so half of one is none."""


def environment_python(
    rival: Rival, *, requirements: Path, environments: Path, progress: Callable[[str], None]
) -> Path:
    """The Python of `environments`/RIVAL, made from `requirements`/RIVAL.txt if it isn't there or is another's.

    pip's own settings hold, so an index of CPU builds of torch is named by PIP_EXTRA_INDEX_URL. Raises
    RivalUnavailable.
    """
    wanted = requirements / f"{rival}.txt"
    if not wanted.is_file():
        raise RivalUnavailable(
            f"{wanted} is missing: it pins what {rival} is compared in; name its folder with --requirements"
        )
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    folder = environments / rival
    python = folder / "bin" / "python"
    if python.is_file() and _read(folder / _STAMP) == digest:
        return python
    if folder.exists() and not (folder / "pyvenv.cfg").is_file():
        raise RivalUnavailable(f"{folder} is there and is no virtual environment; name another with --rival-venvs")
    progress(f"installing {rival} into {folder}, once")
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)], rival)
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)], rival)
    (folder / _STAMP).write_text(digest, encoding="ascii")
    return python


def cache_folder() -> Path:
    """Where environments and artifacts are kept between comparisons: below $XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rerank-toolkit" / "bench"


def _run(command: list[str], rival: Rival) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise RivalUnavailable(f"installing {rival} took more than {INSTALL_TIMEOUT_S} s; check the network") from None
    if done.returncode:
        said = "\n".join(f"  {line}" for line in done.stderr.splitlines()[-LINES_SHOWN:])
        raise RivalUnavailable(f"{rival} can't be installed; {' '.join(command)} said:\n{said}")


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii") if path.is_file() else ""
