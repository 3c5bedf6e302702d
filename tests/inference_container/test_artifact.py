"""The container's gate: what was packaged comes through, anything else is refused by name."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from inference_container.artifact import ArtifactError, archive_holds, open_artifact, write_archive, write_artifact
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from rerank_toolkit.contracts.documents import NewerSchema
from rerank_toolkit.contracts.errors import InvalidInput


@pytest.fixture
def folder(small_bert: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(small_bert, tmp_path / "artifact"))


def test_a_sound_artifact_opens(small_bert: Path) -> None:
    artifact = open_artifact(small_bert)
    assert artifact.path == small_bert
    assert artifact.manifest.display_name == "small-bert (seeded random weights)"
    assert set(artifact.manifest.files) == {"model.safetensors", "tokenizer.json"}
    weights = load_file(artifact.file("model.safetensors"))
    expected = seeded_tensors(artifact.manifest.shape, 7)
    assert weights.keys() == expected.keys()
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)


def test_a_file_that_the_manifest_does_not_list_is_not_handed_out(small_bert: Path) -> None:
    with pytest.raises(ArtifactError, match=r"LICENSE: is not in the manifest, which lists model.safetensors"):
        open_artifact(small_bert).file("LICENSE")


def _truncate(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1000)


def _alter(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        byte = file.read(1)
        file.seek(-5, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))


def _link(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder.parent / "elsewhere.json")
    (folder / "tokenizer.json").symlink_to(folder.parent / "elsewhere.json")


def _change_manifest(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        change(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return damage


def _list_outside(manifest: dict) -> None:
    manifest["files"]["../secret"] = manifest["files"]["tokenizer.json"]


def _list_absolute(manifest: dict) -> None:
    manifest["files"]["/etc/hostname"] = manifest["files"]["tokenizer.json"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, r"model.safetensors: has 1,000 bytes; the manifest says [\d,]+"),
        (_alter, r"model.safetensors: has SHA-256 [0-9a-f]{64}; the manifest says [0-9a-f]{64}"),
        (_link, r"tokenizer.json: is a symbolic link; expected a plain file"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer.json: is missing; the manifest lists it"),
        (lambda folder: (folder / "model.py").write_text("1"), r"model.py: is not in the manifest"),
        (lambda folder: (folder / "code").mkdir() or (folder / "code/x").touch(), r"code/x: is not in the manifest"),
        (
            lambda folder: (folder / "manifest.json").unlink(),
            r"manifest.json: is missing or a link, so nothing vouches",
        ),
        (shutil.rmtree, r"folder: does not exist"),
        (_change_manifest(_list_outside), r"'../secret': is no name for a file of an artifact"),
        (_change_manifest(_list_absolute), r"'/etc/hostname': is no name for a file of an artifact"),
        (
            _change_manifest(lambda manifest: manifest["files"].pop("tokenizer.json")),
            r"tokenizer.json: is not in the manifest; every artifact needs it",
        ),
    ],
)
def test_a_damaged_artifact_is_refused_by_name(folder: Path, damage: Callable, message: str) -> None:
    damage(folder)
    with pytest.raises(ArtifactError, match=message) as caught:
        open_artifact(folder)
    assert str(folder) in str(caught.value)
    assert "rerank package" in str(caught.value)


def test_all_faults_are_told_at_once(folder: Path) -> None:
    _truncate(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "extra").touch()
    with pytest.raises(ArtifactError) as caught:
        open_artifact(folder)
    assert [fault.field for fault in caught.value.faults] == ["model.safetensors", "tokenizer.json", "extra"]


def test_an_archive_in_place_of_a_folder_is_told_from_a_missing_one(small_bert: Path) -> None:
    with pytest.raises(ArtifactError, match="is a file; unpack it into a folder first"):
        open_artifact(small_bert.with_name("small-bert.tar.gz"))


def test_a_newer_schema_is_refused_with_both_versions(folder: Path) -> None:
    _change_manifest(lambda manifest: manifest.update(schema_version=99))(folder)
    with pytest.raises(NewerSchema, match="schema_version is 99, this toolkit reads up to 1"):
        open_artifact(folder)


def test_a_malformed_manifest_is_refused_with_every_fault(folder: Path) -> None:
    _change_manifest(lambda manifest: manifest.update(engine="magic", max_tokens="many"))(folder)
    with pytest.raises(InvalidInput) as caught:
        open_artifact(folder)
    assert {fault.field for fault in caught.value.faults} == {"engine", "max_tokens"}


def _write(out: Path, like: Path, seed: int = 7) -> None:
    manifest = open_artifact(like).manifest
    tokenizer = seeded_tokenizer(manifest.shape).to_str()
    write_artifact(out, manifest, tensors=seeded_tensors(manifest.shape, seed), tokenizer=tokenizer)


def test_the_same_inputs_give_the_same_bytes(small_bert: Path, tmp_path: Path) -> None:
    _write(tmp_path / "once", small_bert)
    os.utime(tmp_path / "once" / "tokenizer.json", (1, 1))
    _write(tmp_path / "twice", small_bert)
    digests = {hashlib.sha256((tmp_path / f"{name}.tar.gz").read_bytes()).hexdigest() for name in ("once", "twice")}
    assert len(digests) == 1


def test_the_archive_holds_the_files_at_its_root_and_nothing_of_this_machine(small_bert: Path, tmp_path: Path) -> None:
    archive = small_bert.with_name("small-bert.tar.gz")
    assert archive.read_bytes()[3:8] == bytes(5)  # no file name, no time
    with tarfile.open(archive) as tar:
        entries = tar.getmembers()
        tar.extractall(tmp_path / "model", filter="data")
    assert [entry.name for entry in entries] == ["manifest.json", "model.safetensors", "tokenizer.json"]
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) for entry in entries} == {(0, 0, 0, "", 0o644)}
    assert open_artifact(tmp_path / "model").manifest == open_artifact(small_bert).manifest


def test_writing_leaves_the_folder_and_its_archive_and_nothing_else(small_bert: Path, tmp_path: Path) -> None:
    _write(tmp_path / "out", small_bert)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.tar.gz"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o644}


def test_a_failed_write_leaves_the_old_artifact(folder: Path) -> None:
    before = open_artifact(folder).manifest
    with pytest.raises(TypeError):
        write_artifact(folder, before, tensors={"x": np.zeros(2, np.float32)}, tokenizer=None)  # type: ignore[arg-type]  # on purpose
    assert open_artifact(folder).manifest == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["artifact"]


def test_an_artifact_is_replaced(folder: Path, small_bert: Path) -> None:
    _write(folder, small_bert, seed=8)
    assert open_artifact(folder).manifest != open_artifact(small_bert).manifest
    assert archive_holds(open_artifact(folder))


def test_a_folder_with_other_files_is_left_alone(small_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ArtifactError, match=r"thesis.tex: is there already and is no file of an artifact"):
        _write(tmp_path, small_bert)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_file_at_the_place_of_the_folder_is_left_alone(small_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ArtifactError, match="out: is there and is no folder"):
        _write(tmp_path / "out", small_bert)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("out", ["", ".", "/"])
def test_a_folder_without_a_name_is_refused(small_bert: Path, out: str) -> None:
    with pytest.raises(ArtifactError, match="out: is no folder that an archive could lie beside"):
        _write(Path(out), small_bert)


def test_an_archive_may_be_mended_by_several_at_once(folder: Path) -> None:
    artifact = open_artifact(folder)
    with ThreadPoolExecutor(8) as menders:
        list(menders.map(write_archive, [artifact] * 32))
    assert archive_holds(artifact)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["artifact", "artifact.tar.gz"]


def test_a_stale_or_broken_archive_is_noticed_and_mended(folder: Path, small_bert: Path) -> None:
    artifact = open_artifact(folder)
    assert not archive_holds(artifact)
    write_archive(artifact)
    assert archive_holds(artifact)
    whole = artifact.archive.read_bytes()
    artifact.archive.write_bytes(whole[: len(whole) // 2])
    assert not archive_holds(artifact)
    _write(folder.with_name("other"), small_bert, seed=9)
    shutil.copy(folder.with_name("other.tar.gz"), artifact.archive)
    assert not archive_holds(artifact)
