"""`rerank package` as a user types it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference_container.artifact import open_artifact


def _rerank(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rerank_toolkit.cli", "package", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_package_writes_an_artifact_where_the_stacks_look_for_it(tmp_path: Path) -> None:
    # WHEN a model of the catalogue is packaged with seeded weights
    done = _rerank(tmp_path, "minilm-l4", "--seed", "0", "--json")
    # THEN stdout is the report alone, and tells what lies on disk
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["path"] == "artifacts/ms-marco-MiniLM-L-4-v2"
    assert report["model"] == "ms-marco-MiniLM-L-4-v2 (seeded random weights)"
    archive = (tmp_path / report["archive"]).read_bytes()
    assert report["archive_bytes"] == len(archive)
    assert report["archive_sha256"] == hashlib.sha256(archive).hexdigest()
    manifest = open_artifact(tmp_path / report["path"]).manifest
    assert (manifest.engine, manifest.dtype) == ("openvino", "bf16")
    assert manifest.fidelity is not None
    assert report["fidelity"]["spearman"] == manifest.fidelity.spearman > 0.9
    assert "drawing 19," in done.stderr
    # AND packaging again keeps it, in words this time
    again = _rerank(tmp_path, "MS-MARCO-MiniLM-L-4-v2", "--seed", "0")
    assert "kept" in again.stderr
    assert f"archive sha256 {report['archive_sha256']}" in again.stdout
    assert "fidelity       Spearman 0.9" in again.stdout
    assert "reused         yes" in again.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nonsense"], 2, "no model is called 'nonsense'; known are base (jina-reranker-v1-base-en)"),
        (["tiny", "--seed", "-1"], 2, "seed: is '-1'; expected a whole number"),
        (["tiny", "--seed", "0", "--source", "dir:."], 2, "--seed: can't go with --source"),
        (["tiny", "--source", "dir:."], 2, ". is no checkpoint of jina-reranker-v1-tiny-en:\n  weights: are missing"),
        (["tiny", "--engine", "torch", "--dtype", "int8"], 2, "dtype: is int8; the engine torch is packaged in fp32"),
        ([], 2, "MODEL"),
    ],
)
def test_bad_words_are_answered_in_words(tmp_path: Path, words: list[str], code: int, message: str) -> None:
    done = _rerank(tmp_path, *words)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
