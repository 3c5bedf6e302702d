"""`rerank cost`, as a shell runs it."""

from __future__ import annotations

import subprocess
import sys


def rerank_cost(*words: str) -> subprocess.CompletedProcess[str]:
    """With the prices that ship, whatever was refreshed on this machine."""
    return subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.cli", "cost", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "NO_COLOR": "1",
            "COLUMNS": "80",
            "PYTHONIOENCODING": "utf-8",
            "RERANK_PRICES": "/nowhere",
        },
    )
