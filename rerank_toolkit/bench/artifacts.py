"""The artifacts that are measured, made by the command that users make them with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rerank_toolkit.bench.errors import ArtifactUnavailable
from rerank_toolkit.contracts.manifest import Dtype, Engine

PACKAGE_TIMEOUT_S = 900
LINES_SHOWN = 8


def package(
    model: str,
    folder: Path,
    *,
    engine: Engine,
    dtype: Dtype,
    options: Sequence[str] = (),
    progress: Callable[[str], None],
) -> Path:
    """The artifact of `model` below `folder`; one that stands there already is kept, as `rerank package` does.

    Raises ArtifactUnavailable with what the command said, such as a fidelity below its gate.
    """
    out = folder / f"{model}-{engine}-{dtype}"
    command = ["package", model, "--out", str(out), "--engine", engine, "--dtype", dtype, *options]
    progress(f"rerank {' '.join(command)}")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rerank_toolkit.cli", *command],
            capture_output=True,
            text=True,
            timeout=PACKAGE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ArtifactUnavailable(f"packaging {model} took more than {PACKAGE_TIMEOUT_S} s") from None
    if done.returncode:
        said = "\n".join(f"  {line}" for line in done.stderr.splitlines()[-LINES_SHOWN:])
        raise ArtifactUnavailable(f"{model} can't be packaged for {engine} {dtype}:\n{said}")
    return out
