"""The command as a user calls it: a process, its output and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rerank_toolkit import __version__

RERANK = Path(sys.executable).with_name("rerank")


def rerank(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([RERANK, *words], capture_output=True, text=True, check=False, env=environment or None)


def test_models_gives_exact_counts() -> None:
    result = rerank("models", "--json")
    models = {model["alias"]: model for model in json.loads(result.stdout)["models"]}

    assert result.returncode == 0
    assert models["base"]["parameters"] == 137_369_089
    assert models["turbo"]["parameters"] == 37_771_777
    assert models["tiny"]["parameters"] == 33_046_273
    assert models["minilm-l12"]["quality"] is None


def test_the_table_is_not_cut_where_there_is_no_terminal() -> None:
    assert "jina-reranker-v1-turbo-en" in rerank("models").stdout
    assert "…" not in rerank("models").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dance"], "no command is called 'dance'; there are models, package"),
        (["local", "dance"], "no local command is called 'dance'; there are up, down, status"),
        (["bench", "record", "--url", "RerankTinyCpu"], "--url: is 'RerankTinyCpu'; expected http://HOST:PORT"),
        (["models", "--nope"], "Unknown option: --nope"),
        (["models", "--format", "xml"], '"table", "json", "markdown", "csv"'),
    ],
)
def test_malformed_words_end_with_2_and_say_what_is_known(words: list[str], says: str) -> None:
    result = rerank(*words)

    assert result.returncode == 2
    assert says in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_version() -> None:
    assert rerank("--version").stdout.strip() == __version__


@pytest.mark.parametrize("room", ["models", "package", "serve", "local", "bench", "cost"])
def test_every_room_has_help(room: str) -> None:
    result = rerank(room, "--help")

    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: rerank {room}")


def test_listing_models_imports_nothing_heavy() -> None:
    script = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules)); sys.argv = ['rerank', 'models']; "
        "from rerank_toolkit.cli import main; main()"
    )
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert {"torch", "numpy", "boto3", "aws_cdk", "moto"}.isdisjoint(modules)


def test_a_pipe_closed_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run([RERANK, "models"], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)

    assert (result.returncode, result.stderr) == (0, "")
