"""The hub's own client against a hub on loopback; packaging runs as a process, as the client reads HF_ENDPOINT once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from inference_container.artifact import open_artifact
from inference_container.seeded import seeded_tensors
from rerank_toolkit.catalog.models import Model

Run = Callable[[str], subprocess.CompletedProcess[str]]

COMMIT = "c0ffee" + "0" * 34
PACKAGE = """
import sys
from pathlib import Path
import msgspec
from inference_container.packaging import package
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.errors import ToolkitError
model = msgspec.json.decode(sys.argv[1], type=Model)
try:
    package(model, Path(sys.argv[2]), force=True, engine="torch", progress=print)
except ToolkitError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def hub(checkpoint: Path) -> Iterator[subprocess.Popen[str]]:
    """A hub that serves `checkpoint` as owner/name; its address is the first line it printed."""
    server = Path(__file__).with_name("hub_server.py")
    with subprocess.Popen([sys.executable, server, checkpoint, COMMIT], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
def run(two_layers: Model, tmp_path: Path, hub: subprocess.Popen[str]) -> Run:
    """Packages from a source into `out`, with the hub's cache in a folder of this test."""
    assert hub.stdout is not None
    address = hub.stdout.readline().strip()
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub"), "NO_PROXY": "127.0.0.1"}

    def package(source: str) -> subprocess.CompletedProcess[str]:
        model = msgspec.json.encode(msgspec.structs.replace(two_layers, weights=(source,)))
        command = [sys.executable, "-c", PACKAGE, model.decode(), str(tmp_path / "out")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    return package


def _cached(tmp_path: Path, name: str) -> Path:
    [file] = (tmp_path / "hub").rglob(f"snapshots/*/{name}")
    return file


def test_a_pinned_repository_is_fetched_once(
    run: Run, hub: subprocess.Popen, two_layers: Model, tmp_path: Path
) -> None:
    # GIVEN a repository on the hub
    first = run(f"hf:owner/name@{COMMIT}")
    assert first.returncode == 0, first.stderr
    manifest = open_artifact(tmp_path / "out").manifest
    assert (manifest.source, manifest.revision) == (f"hf:owner/name@{COMMIT}", COMMIT)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    expected = seeded_tensors(two_layers.shape, 1)
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    # WHEN the hub is gone
    hub.kill()
    hub.wait()
    # THEN its cache suffices
    assert run(f"hf:owner/name@{COMMIT}").returncode == 0
    # AND what isn't cached fails at once, with a way out
    other = run(f"hf:owner/name@{'d' * 40}")
    assert other.returncode == 1
    assert "is not reachable from here" in other.stderr
    assert "--source dir:PATH" in other.stderr


def test_a_damaged_cache_is_fetched_again(run: Run, tmp_path: Path) -> None:
    run(f"hf:owner/name@{COMMIT}")
    weights = _cached(tmp_path, "model.safetensors").resolve()
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + bytes(4))
    again = run(f"hf:owner/name@{COMMIT}")
    assert again.returncode == 0, again.stderr
    assert "is damaged and is fetched again" in again.stdout
    assert _cached(tmp_path, "model.safetensors").read_bytes() == content


def test_without_a_pin_the_head_is_resolved_told_and_recorded(run: Run, tmp_path: Path) -> None:
    done = run("hf:owner/name")
    assert done.returncode == 0, done.stderr
    assert f"owner/name has no pinned revision; its head is {COMMIT}" in done.stdout
    assert open_artifact(tmp_path / "out").manifest.source == f"hf:owner/name@{COMMIT}"


def test_an_old_repository_without_safetensors_is_read(
    run: Run, checkpoint: Path, two_layers: Model, tmp_path: Path
) -> None:
    (checkpoint / "model.safetensors").unlink()
    expected = seeded_tensors(two_layers.shape, 1)
    state = {name: torch.from_numpy(tensor) for name, tensor in expected.items()}
    torch.save(state, checkpoint / "pytorch_model.bin")
    done = run(f"hf:owner/name@{COMMIT}")
    assert done.returncode == 0, done.stderr
    assert "config.json" in {file.name for file in _cached(tmp_path, "pytorch_model.bin").parent.iterdir()}


def test_code_in_a_repository_is_not_even_fetched(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "modeling.py").write_text("raise SystemExit")
    assert run(f"hf:owner/name@{COMMIT}").returncode == 0
    assert list((tmp_path / "hub").rglob("*.py")) == []


def test_a_repository_that_the_hub_does_not_have_is_told(run: Run) -> None:
    done = run(f"hf:owner/other@{COMMIT}")
    assert done.returncode == 1
    assert "owner/other@c0ffee" in done.stderr
    assert "can't be fetched from http://127.0.0.1" in done.stderr


def test_a_download_that_is_cut_is_told(run: Run, checkpoint: Path) -> None:
    (checkpoint / "reset").touch()
    done = run(f"hf:owner/name@{COMMIT}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "can't be fetched from http://127.0.0.1" in done.stderr
    assert "--source dir:PATH" in done.stderr
