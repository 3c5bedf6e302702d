"""An archive that is what the plan says is uploaded; any other stops the deploy of its stack, and only that."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest

from infra.archive import Archive, UnusableArchive
from infra.options import Options
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.manifest import Manifest
from rerank_toolkit.contracts.plan import LocalArtifact

MODEL = "ms-marco-MiniLM-L-12-v2"


@pytest.fixture
def packaged(small_bert: Path, tmp_path: Path) -> Path:
    """An artifact that gives itself out for MiniLM-L-12, two layers for twelve."""
    folder = tmp_path / "artifacts" / MODEL
    shutil.copytree(small_bert, folder)
    _alter(folder, model_id=MODEL)
    return folder


def _alter(folder: Path, **changes: object) -> None:
    file = folder / "manifest.json"
    documents.write(file, msgspec.structs.replace(documents.read(file, Manifest), **changes))
    with tarfile.open(folder.with_name(f"{folder.name}.tar.gz"), "w:gz") as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, file.name)


def _local(deployment):
    return deployment(stack="RerankMiniLmL12Cpu", model=MODEL, artifact=LocalArtifact(path=f"artifacts/{MODEL}"))


def _assets(assembly, stack):
    files = json.loads((Path(assembly.directory) / f"{stack}.assets.json").read_text())["files"]
    return [asset for asset in files.values() if "Template" not in asset["displayName"]]


def test_a_packaged_artifact_becomes_an_asset_under_a_name_that_sagemaker_takes(packaged, plan, deployment, synthesise):
    assembly = synthesise(plan(_local(deployment)), Options(artifacts=packaged.parent))
    (asset,) = _assets(assembly, "RerankMiniLmL12Cpu")
    (destination,) = asset["destinations"].values()
    assert asset["source"] == {"path": f"{packaged}.tar.gz", "packaging": "file"}
    assert destination["objectKey"].endswith(".tar.gz")
    template = json.dumps(assembly.get_stack_by_name("RerankMiniLmL12Cpu").template)
    assert f'"ModelDataUrl": {{"Fn::Sub": "s3://{destination["bucketName"]}/{destination["objectKey"]}"}}' in template


def test_random_weights_are_deployed_with_a_warning(packaged, plan, deployment, synthesise):
    assembly = synthesise(plan(_local(deployment)), Options(artifacts=packaged.parent))
    (warning,) = [message.entry.data for message in assembly.get_stack_by_name("RerankMiniLmL12Cpu").messages]
    assert "worthless for ranking" in warning


def test_a_model_that_is_not_packaged_synthesises_and_its_deploy_names_the_command(
    tmp_path, plan, deployment, synthesise
):
    assembly = synthesise(plan(_local(deployment), deployment()), Options(artifacts=tmp_path))
    (asset,) = _assets(assembly, "RerankMiniLmL12Cpu")
    # What `cdk deploy` runs to get the file, here in a directory that has an `infra` of its own.
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "__init__.py").write_text("raise SystemExit('another infra')")
    command = asset["source"]["executable"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert f"rerank package minilm-l12 --engine torch --dtype fp32 --out {tmp_path / MODEL}" in result.stderr
    assert "Traceback" not in result.stderr
    assert _assets(assembly, "RerankTinyCpu") == []


def test_an_archive_that_comes_after_the_templates_asks_for_new_ones(packaged):
    command = [sys.executable, "-m", "infra.archive", str(packaged), MODEL, "torch", "fp32"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"{packaged}.tar.gz came after the templates were made. Run cdk deploy again.\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_id": "ms-marco-MiniLM-L-6-v2"}, "holds ms-marco-MiniLM-L-6-v2 for torch in fp32"),
        ({"dtype": "bf16"}, f"holds {MODEL} for torch in bf16"),
        ({"engine": "openvino"}, f"holds {MODEL} for openvino in fp32"),
        ({"schema_version": 9}, "schema_version is 9, this toolkit reads up to 1"),
    ],
)
def test_an_archive_that_is_not_what_the_plan_says_is_refused(packaged, changes, message):
    _alter(packaged, **changes)
    with pytest.raises(UnusableArchive, match=message):
        Archive.open(packaged, MODEL, "torch", "fp32")


@pytest.mark.parametrize("length", [0, 20, 200])
def test_a_truncated_archive_is_refused(packaged, length):
    archive = packaged.with_name(f"{MODEL}.tar.gz")
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(UnusableArchive, match=r"can't be used: .* Package it anew: rerank package minilm-l12"):
        Archive.open(packaged, MODEL, "torch", "fp32")


def test_an_archive_without_a_manifest_is_refused(packaged):
    with tarfile.open(packaged.with_name(f"{MODEL}.tar.gz"), "w:gz") as archive:
        archive.add(packaged / "tokenizer.json", "tokenizer.json")
    with pytest.raises(UnusableArchive, match=r"it has no manifest\.json"):
        Archive.open(packaged, MODEL, "torch", "fp32")


def test_the_digest_follows_the_content(packaged):
    first = Archive.open(packaged, MODEL, "torch", "fp32").digest
    assert Archive.open(packaged, MODEL, "torch", "fp32").digest == first
    _alter(packaged, revision="another")
    assert Archive.open(packaged, MODEL, "torch", "fp32").digest != first
