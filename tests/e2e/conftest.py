"""A shell as a user has it, in a directory that is not the repository, and a local AWS that it leads to."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent


class Shell:
    """Runs commands in one directory and environment, and shows their output when one ends otherwise than expected."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(directory), **environment}

    def __call__(self, command: str, *, expect: int = 0) -> str:
        done = self.run(command)
        assert done.returncode == expect, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            shlex.split(command), cwd=self.directory, env=self.environment, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    return Shell(elsewhere, {"RERANK_LOCAL_STATE": str(elsewhere / "state")})


@pytest.fixture(scope="module")
def local(shell: Shell) -> Iterator[dict[str, Any]]:
    """What `rerank local up --json` printed."""
    up = json.loads(shell("rerank local up --json"))
    shell.environment.update(up["environment"])
    try:
        yield up
    finally:
        shell("rerank local down")
