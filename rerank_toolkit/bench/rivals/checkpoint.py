"""One set of weights for every side: a folder as Hugging Face lays it out, written from an artifact."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
from safetensors.numpy import load_file, save_file

from rerank_toolkit.bench.errors import NotComparable
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.manifest import FILE_NAME, Manifest

_LAYERS = "bert.encoder.layer."
_WEIGHTS, _TOKENIZER = "model.safetensors", "tokenizer.json"

_TOKENIZER_CONFIG = {
    "tokenizer_class": "BertTokenizer",
    "do_lower_case": True,
    "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def write_checkpoint(artifact: Path, out: Path, *, layers: Sequence[int]) -> Shape:
    """Writes into `out` what AutoModelForSequenceClassification loads, and returns its shape.

    `artifact` is a BERT in fp32; of its layers the ones named are kept, in this order. Weights cut so rank worse
    than the whole model, but compute as any others of their shape, and unlike random ones they stay well-behaved
    in 16 bits, so that the sides' scores can be held against each other. Raises NotComparable for another family.
    """
    manifest = documents.read(artifact / FILE_NAME, Manifest)
    if manifest.shape.family != "bert" or manifest.dtype != "fp32":
        raise NotComparable(f"{artifact} is a {manifest.shape.family} in {manifest.dtype}; expected a bert in fp32")
    shape = msgspec.structs.replace(manifest.shape, layers=len(layers))
    tensors = load_file(artifact / _WEIGHTS)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(_LAYERS)}
    for new, old in enumerate(layers):
        prefix = f"{_LAYERS}{old}."
        kept |= {
            f"{_LAYERS}{new}.{name.removeprefix(prefix)}": tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
    out.mkdir(parents=True, exist_ok=True)
    save_file(kept, out / _WEIGHTS, metadata={"format": "pt"})
    shutil.copyfile(artifact / _TOKENIZER, out / _TOKENIZER)
    documents.write(out / "config.json", _config(shape))
    documents.write(out / "tokenizer_config.json", {**_TOKENIZER_CONFIG, "model_max_length": shape.positions})
    return shape


def _config(shape: Shape) -> dict[str, object]:
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.token_types,
        "layer_norm_eps": shape.layer_norm_eps,
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "pad_token_id": 0,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
    }
