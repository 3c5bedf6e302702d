"""`dir:PATH`: a folder as Hugging Face lays it out, and the reading of such folders for the other sources."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self

import ml_dtypes
import msgspec
import numpy as np
import safetensors
from numpy.typing import NDArray

from inference_container.onnx_weights import read_onnx
from inference_container.sources.checkpoint import Checkpoint, Progress
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Manifest

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
SAFETENSORS, PICKLE, ONNX = "model.safetensors", "pytorch_model.bin", "model.onnx"
WEIGHTS = (SAFETENSORS, PICKLE, ONNX)
"""First choice first."""
TEXTS = ("LICENSE", "NOTICE")


class UnreadableWeights(ToolkitError):
    """A file of a checkpoint that is damaged, or whose reader isn't installed."""


@dataclass(frozen=True, slots=True)
class FolderSource:
    path: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(Path(text).expanduser())

    def fetch(self, model: Model, progress: Progress) -> Checkpoint:
        progress(f"reading {self.path}")
        check_folder(self.path, model, name=str(self.path))
        return read_folder(self.path, name=str(self.path), source=self._name, revision=self._revision())

    def made(self, manifest: Manifest) -> bool:
        return manifest.source == self._name and manifest.revision == self._revision()

    @property
    def _name(self) -> str:
        return f"dir:{self.path.resolve().name}"

    def _revision(self) -> str:
        """A folder has no revision, so a digest of all that is taken from it stands for one."""
        weights = find_weights(self.path)
        if weights is None:
            return ""
        digest = hashlib.sha256()
        for name in (weights.name, TOKENIZER, *TEXTS):
            if (self.path / name).is_file():
                with (self.path / name).open("rb") as file:
                    digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        return f"sha256:{digest.hexdigest()}"


def find_weights(folder: Path) -> Path | None:
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def check_folder(folder: Path, model: Model, *, name: str) -> None:
    """Raises InvalidInput with all that keeps `folder` from being a checkpoint of `model`.

    `name` is what the user knows the folder by.
    """
    faults = list(_find_faults(folder, model))
    if faults:
        raise InvalidInput(f"{name} is no checkpoint of {model.id}", faults)


def read_folder(folder: Path, *, name: str, source: str, revision: str) -> Checkpoint:
    """The checkpoint in a folder that `check_folder` found sound; raises UnreadableWeights, UnreadableOnnx."""
    weights = find_weights(folder)
    if weights is None:
        raise FileNotFoundError(f"{name} holds no weights. This is a bug: check_folder comes first.")
    note, shown = "", f"{name}: {weights.name}"
    if weights.name == ONNX:
        tensors: Mapping[str, NDArray[Any]] = read_onnx(weights, name=shown)
        note = "Weights were dequantised from int8 ONNX; their scores differ a little from the fp32 original's."
    else:
        tensors = _read_safetensors(weights, shown) if weights.name == SAFETENSORS else _read_pickle(weights, shown)
    try:
        tokenizer = (folder / TOKENIZER).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableWeights(f"{name}: {TOKENIZER} is damaged: {error}; fetch it again") from None
    return Checkpoint(
        source=source,
        revision=revision,
        tensors=tensors,
        tokenizer=tokenizer,
        texts={text: _read_text(folder / text) for text in TEXTS if (folder / text).is_file()},
        note=note,
    )


def _read_text(path: Path) -> str:
    """A licence's text, whose encoding nobody declares: characters that are not UTF-8 are replaced."""
    return path.read_text(encoding="utf-8", errors="replace")


def _find_faults(folder: Path, model: Model) -> Iterator[Fault]:
    if not folder.is_dir():
        yield Fault("folder", "does not exist; expected weights, tokenizer.json and config.json in it", "missing")
        return
    weights = find_weights(folder)
    if weights is None:
        yield Fault("weights", f"are missing; expected {', '.join(WEIGHTS[:-1])} or {WEIGHTS[-1]}", "missing")
    if not (folder / TOKENIZER).is_file():
        how = "transformers' AutoTokenizer.from_pretrained(…).save_pretrained(…) writes it"
        yield Fault(TOKENIZER, f"is missing; {how}", "missing")
    if (folder / CONFIG).is_file():
        yield from _compare_config(folder / CONFIG, model.shape)
    elif weights is not None and weights.name != ONNX:  # ONNX exports come without; their tensors' sizes must do
        yield Fault(CONFIG, "is missing, so the number of heads can't be checked", "missing")


def _compare_config(path: Path, shape: Shape) -> Iterator[Fault]:
    try:
        config = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        yield Fault(CONFIG, f"is not a JSON object: {error}", "not_json")
        return
    for key, expected in _expected_config(shape).items():
        if key in config and config[key] != expected:
            yield Fault(f"{CONFIG}: {key}", f"is {config[key]!r}; the catalogue says {expected!r}", "mismatch")


def _expected_config(shape: Shape) -> dict[str, object]:
    """What a published config.json says of a model of this shape. A key that it leaves out is not compared."""
    expected: dict[str, object] = {
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocabulary,
        "type_vocab_size": shape.token_types,
        "layer_norm_eps": shape.layer_norm_eps,
        "hidden_act": "gelu",
    }
    match shape.family:
        case "jinabert":
            expected |= {"position_embedding_type": "alibi", "feed_forward_type": "geglu"}
        case "deberta-v2":
            expected |= {
                "position_buckets": shape.relative_positions // 2,
                "relative_attention": True,
                "share_att_key": True,
                "norm_rel_ebd": "layer_norm",
                "position_biased_input": False,
                "pooler_hidden_act": "gelu",
                "conv_kernel_size": 0,
            }
        case "bert" | "xlm-roberta":
            expected |= {"position_embedding_type": "absolute", "max_position_embeddings": shape.positions}
    return expected


_NUMPY_TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "I64": np.int64}


def _read_safetensors(path: Path, shown: str) -> dict[str, NDArray[Any]]:
    """All tensors; safetensors.numpy would do, but knows no bf16, in which small rerankers are published."""
    try:
        entries = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]  # the library leaves it untyped
    except safetensors.SafetensorError as error:
        raise UnreadableWeights(f"{shown} is damaged: {error}; fetch it again") from None
    tensors = {}
    for name, entry in entries:
        if entry["dtype"] not in _NUMPY_TYPES:
            known = ", ".join(_NUMPY_TYPES)
            raise UnreadableWeights(f"{shown}: {name} has type {entry['dtype']}; expected one of {known}")
        tensors[name] = np.frombuffer(entry["data"], dtype=_NUMPY_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def _read_pickle(path: Path, shown: str) -> dict[str, NDArray[Any]]:
    """Tensors of a pytorch_model.bin. weights_only: its pickle may hold tensors, and runs nothing."""
    try:
        import torch  # noqa: PLC0415  # an extra that only this old format needs
    except ImportError:
        raise UnreadableWeights(f"{shown} needs torch to be read; install rerank-toolkit[torch]") from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UnreadableWeights(f"{shown} is damaged or holds more than tensors: {reason}") from None
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise UnreadableWeights(f"{shown} holds more than tensors; expected a state_dict")
    return {name: tensor.float().numpy() for name, tensor in state.items()}
