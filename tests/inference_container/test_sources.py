"""What names a source, and reading a checkpoint's folder."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from inference_container.checkpoints import normalise, published_tensors
from inference_container.packaging import package
from inference_container.seeded import seeded_tensors
from inference_container.sources import parse_source
from inference_container.sources.folder import UnreadableWeights
from rerank_toolkit.catalog.models import Model, load_models
from rerank_toolkit.contracts.errors import InvalidInput


@pytest.mark.parametrize("text", sorted({text for model in load_models().values() for text in model.weights}))
def test_every_source_of_the_catalogue_parses(text: str) -> None:
    assert parse_source(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("somewhere", "is 'somewhere'; expected one of wheel:NAME==VERSION"),
        ("s3://bucket/key", "expected one of"),
        ("dir:", "is 'dir:'; expected one of"),
        ("seeded:-1", "seed: is '-1'; expected a whole number"),
        ("seeded:1e3", "seed: is '1e3'"),
        ("hf:no-owner", "repository: is 'no-owner'; expected OWNER/NAME"),
        ("hf:../etc/passwd", "expected OWNER/NAME"),
        ("wheel:name", "requirement: is 'name'; expected NAME==VERSION"),
        ("wheel:--upgrade==1#sha256=" + "0" * 64, "expected NAME==VERSION"),
        ("wheel:name==1", "sha256: is ''; expected the wheel's SHA-256"),
        ("wheel:name==1#sha256=" + "0" * 64 + "&folder=x", "folder: is not known; known are sha256, path"),
    ],
)
def test_a_malformed_source_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_source(text)
    assert message in str(caught.value)


def test_a_folder_delivers_its_weights(two_layers: Model, checkpoint: Path) -> None:
    delivered = parse_source(f"dir:{checkpoint}").fetch(two_layers, print)
    expected = seeded_tensors(two_layers.shape, 1)
    assert delivered.tensors.keys() == expected.keys()
    assert all(np.array_equal(delivered.tensors[name], expected[name]) for name in expected)


def test_all_that_a_folder_lacks_is_told_at_once(two_layers: Model, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_source(f"dir:{tmp_path}").fetch(two_layers, print)
    assert [fault.field for fault in caught.value.faults] == ["weights", "tokenizer.json"]


def test_a_config_of_another_model_is_refused_with_every_difference(two_layers: Model, checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config |= {"num_attention_heads": 2, "hidden_act": "relu", "position_embedding_type": "alibi"}
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidInput) as caught:
        parse_source(f"dir:{checkpoint}").fetch(two_layers, print)
    assert {str(fault) for fault in caught.value.faults} == {
        "config.json: num_attention_heads: is 2; the catalogue says 4",
        "config.json: hidden_act: is 'relu'; the catalogue says 'gelu'",
        "config.json: position_embedding_type: is 'alibi'; the catalogue says 'absolute'",
    }


def test_a_config_that_is_not_json_is_refused(two_layers: Model, checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("<html>")
    with pytest.raises(InvalidInput, match=r"config.json: is not a JSON object"):
        parse_source(f"dir:{checkpoint}").fetch(two_layers, print)


def test_a_truncated_weights_file_is_refused(two_layers: Model, checkpoint: Path) -> None:
    with (checkpoint / "model.safetensors").open("r+b") as file:
        file.truncate(4000)
    with pytest.raises(UnreadableWeights, match=r"model.safetensors is damaged"):
        parse_source(f"dir:{checkpoint}").fetch(two_layers, print)


def test_bf16_checkpoints_are_read(two_layers: Model, checkpoint: Path) -> None:
    exact = {name: tensor.astype(ml_dtypes.bfloat16) for name, tensor in seeded_tensors(two_layers.shape, 1).items()}
    save_file(exact, checkpoint / "model.safetensors")
    delivered = parse_source(f"dir:{checkpoint}").fetch(two_layers, print)
    assert all(np.array_equal(delivered.tensors[name], exact[name]) for name in exact)


def test_a_pickle_is_read_as_tensors_only(two_layers: Model, checkpoint: Path) -> None:
    expected = seeded_tensors(two_layers.shape, 1)
    (checkpoint / "model.safetensors").unlink()
    torch.save({name: torch.from_numpy(tensor) for name, tensor in expected.items()}, checkpoint / "pytorch_model.bin")
    delivered = parse_source(f"dir:{checkpoint}").fetch(two_layers, print)
    assert all(np.array_equal(delivered.tensors[name], expected[name]) for name in expected)


class _Trap:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.target,)  # type: ignore[return-value]  # any callable would do


def test_a_pickle_with_code_runs_nothing(two_layers: Model, checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    weights = checkpoint / "pytorch_model.bin"
    torch.save({"bert.weight": _Trap(tmp_path / "sprung")}, weights)
    torch.load(weights, weights_only=False)
    assert (tmp_path / "sprung").exists(), "the trap itself must work"
    (tmp_path / "sprung").unlink()

    with pytest.raises(UnreadableWeights, match="holds more than tensors"):
        parse_source(f"dir:{checkpoint}").fetch(two_layers, print)
    assert not (tmp_path / "sprung").exists()


def test_a_torch_file_of_something_else_is_refused(two_layers: Model, checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    torch.save({"epoch": 3}, checkpoint / "pytorch_model.bin")
    with pytest.raises(UnreadableWeights, match="expected a state_dict"):
        parse_source(f"dir:{checkpoint}").fetch(two_layers, print)


def test_a_plain_pickle_is_refused(two_layers: Model, checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "pytorch_model.bin").write_bytes(pickle.dumps(["not", "torch"], protocol=2))
    with pytest.raises(UnreadableWeights, match=r"pytorch_model\.bin is damaged or holds more than tensors"):
        parse_source(f"dir:{checkpoint}").fetch(two_layers, print)


def test_old_names_and_buffers_are_understood(two_layers: Model) -> None:
    tensors = seeded_tensors(two_layers.shape, 1)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    old["bert.embeddings.position_ids"] = np.arange(64)[None]
    assert list(normalise(old, two_layers.shape, name="old file")) == list(tensors)


def test_tensors_that_do_not_fit_are_told_all_at_once(two_layers: Model) -> None:
    tensors: dict[str, np.ndarray] = dict(seeded_tensors(two_layers.shape, 1))
    del tensors["bert.pooler.dense.bias"]
    tensors["classifier.weight"] = np.zeros((2, 24), np.float32)
    tensors["bert.encoder.layer.2.output.dense.bias"] = np.zeros(24, np.float32)
    with pytest.raises(InvalidInput) as caught:
        normalise(tensors, two_layers.shape, name="dir:x")
    assert {str(fault) for fault in caught.value.faults} == {
        "bert.pooler.dense.bias: is missing; expected sizes [24]",
        "classifier.weight: has sizes [2, 24]; expected [1, 24]",
        "bert.encoder.layer.2.output.dense.bias: is no tensor of a bert reranker with 2 layers",
    }


def test_a_file_of_nothing_but_strangers_gives_a_readable_message(two_layers: Model) -> None:
    with pytest.raises(InvalidInput) as caught:
        normalise({}, two_layers.shape, name="dir:x")
    missing = len(published_tensors(two_layers.shape))
    assert str(caught.value).endswith(f"and {missing - 20} more tensors")


def test_a_tokenizer_of_a_larger_vocabulary_is_refused(two_layers: Model, tmp_path: Path, checkpoint: Path) -> None:
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["extra"] = 300
    (checkpoint / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InvalidInput, match=r"has ids up to 300; the model has 300 embeddings"):
        package(two_layers, tmp_path / "out", source=f"dir:{checkpoint}", engine="torch", progress=print)


def test_weights_that_overflow_fp16_are_refused_by_name(two_layers: Model, tmp_path: Path, checkpoint: Path) -> None:
    tensors = dict(seeded_tensors(two_layers.shape, 1))
    query = "bert.encoder.layer.0.attention.self.query.weight"
    tensors[query] = tensors[query] * np.float32(1e6)
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(InvalidInput, match=rf"{query}: holds values that are not finite in fp16"):
        package(two_layers, tmp_path / "out", source=f"dir:{checkpoint}", dtype="fp16", engine="torch", progress=print)
    assert not (tmp_path / "out").exists()


def change_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "classifier.bias": tensors["classifier.bias"] + 1}, folder / "model.safetensors")


def add_token(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["reranker"])
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    "change",
    [
        change_weights,
        add_token,
        lambda folder: (folder / "LICENSE").write_text("Take it."),
    ],
    ids=["weights", "tokenizer", "licence"],
)
def test_a_folder_that_changed_is_packaged_anew(
    two_layers: Model, tmp_path: Path, checkpoint: Path, change: Callable[[Path], object]
) -> None:
    model = msgspec.structs.replace(two_layers, weights=(f"dir:{checkpoint}",))
    package(model, tmp_path / "out", engine="torch", progress=print)
    assert package(model, tmp_path / "out", engine="torch", progress=print).reused
    change(checkpoint)
    assert not package(model, tmp_path / "out", engine="torch", progress=print).reused
    assert package(model, tmp_path / "out", engine="torch", progress=print).reused


def test_a_licence_in_another_encoding_is_taken(two_layers: Model, checkpoint: Path) -> None:
    (checkpoint / "LICENSE").write_bytes("Copyright André".encode("latin-1"))
    delivered = parse_source(f"dir:{checkpoint}").fetch(two_layers, print)
    assert delivered.texts == {"LICENSE": "Copyright Andr\ufffd"}


def test_a_tokenizer_in_another_encoding_is_refused(two_layers: Model, checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").write_bytes(b'{"version": "\xe9"}')
    with pytest.raises(UnreadableWeights, match=r"checkpoint: tokenizer\.json is damaged"):
        parse_source(f"dir:{checkpoint}").fetch(two_layers, print)
