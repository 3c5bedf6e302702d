"""The tensors of each model family: names and sizes as the published checkpoints have them.

An artifact carries exactly these, whatever file they came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault

Tensors = Mapping[str, NDArray[Any]]
Sizes = tuple[int, ...]

_PREFIXES = {"bert": "bert", "jinabert": "bert", "xlm-roberta": "roberta", "deberta-v2": "deberta"}

# Names that old frameworks left in files, and today's.
_OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_OLD_ENDINGS |= {"layernorm.gamma": "layernorm.weight", "layernorm.beta": "layernorm.bias"}

# Buffers that some exporters store and every loader recomputes.
_BUFFERS = ("position_ids", "token_type_ids", "alibi")


def published_tensors(shape: Shape) -> dict[str, Sizes]:
    """Name and sizes of each tensor of a checkpoint of this shape, in the order of the computation."""
    return dict(_tensors(shape))


WEIGHT, SCALE, LOW, STEP = ".weight", ".weight_scale", ".input_low", ".input_step"
"""What an int8 layer consists of: endings of its tensors' names, see int8.py."""


def linear_layers(shape: Shape) -> dict[str, Sizes]:
    """Name and (outputs, inputs) of each linear layer within the encoder's layers: nearly all of the arithmetic."""
    return {
        name.removesuffix(WEIGHT): sizes
        for name, sizes in published_tensors(shape).items()
        if ".encoder.layer." in name and name.endswith(WEIGHT) and len(sizes) == 2
    }


def int8_tensors(shape: Shape) -> dict[str, Sizes]:
    """Those of an int8 artifact: the published ones, and of each linear layer its scales."""
    added: dict[str, Sizes] = {}
    for name, (outputs, inputs) in linear_layers(shape).items():
        added |= {f"{name}{SCALE}": (outputs,), f"{name}{LOW}": (inputs,), f"{name}{STEP}": (inputs,)}
    return published_tensors(shape) | added


def normalise(tensors: Tensors, shape: Shape, *, name: str, int8: bool = False) -> dict[str, NDArray[Any]]:
    """`tensors` under today's names, in the order of `published_tensors` (or `int8_tensors`), buffers dropped.

    Raises InvalidInput, in which `name` says whose tensors they are, with every tensor that is missing, left
    over or of another size.
    """
    ours = {_modern(found): tensor for found, tensor in tensors.items() if found.rpartition(".")[2] not in _BUFFERS}
    expected = int8_tensors(shape) if int8 else published_tensors(shape)
    faults = list(_compare({found: tensor.shape for found, tensor in ours.items()}, expected, shape))
    if len(faults) > MOST_FAULTS:
        faults[MOST_FAULTS:] = [Fault("", f"and {len(faults) - MOST_FAULTS} more tensors")]
    if faults:
        raise InvalidInput(f"{name} does not hold the weights of this model", faults)
    return {tensor: ours[tensor] for tensor in expected}


def _compare(found: Mapping[str, Sizes], expected: Mapping[str, Sizes], shape: Shape) -> Iterator[Fault]:
    for tensor, sizes in expected.items():
        if tensor not in found:
            yield Fault(tensor, f"is missing; expected sizes {list(sizes)}", "missing")
        elif found[tensor] != sizes:
            yield Fault(tensor, f"has sizes {list(found[tensor])}; expected {list(sizes)}", "wrong_size")
    for tensor in found.keys() - expected.keys():
        yield Fault(tensor, f"is no tensor of a {shape.family} reranker with {shape.layers} layers", "unknown")


def _modern(name: str) -> str:
    for old, new in _OLD_ENDINGS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _tensors(shape: Shape) -> Iterator[tuple[str, Sizes]]:
    prefix = _PREFIXES[shape.family]
    yield from _embeddings(shape, f"{prefix}.embeddings")
    for layer in range(shape.layers):
        yield from _layer(shape, f"{prefix}.encoder.layer.{layer}")
    if shape.relative_positions:
        yield f"{prefix}.encoder.rel_embeddings.weight", (shape.relative_positions, shape.hidden)
        yield from _norm(f"{prefix}.encoder.LayerNorm", shape.hidden)
    yield from _head(shape, prefix)


def _embeddings(shape: Shape, prefix: str) -> Iterator[tuple[str, Sizes]]:
    yield f"{prefix}.word_embeddings.weight", (shape.vocabulary, shape.hidden)
    if shape.positions:
        yield f"{prefix}.position_embeddings.weight", (shape.positions, shape.hidden)
    if shape.token_types:
        yield f"{prefix}.token_type_embeddings.weight", (shape.token_types, shape.hidden)
    yield from _norm(f"{prefix}.LayerNorm", shape.hidden)


def _layer(shape: Shape, prefix: str) -> Iterator[tuple[str, Sizes]]:
    hidden, intermediate = shape.hidden, shape.intermediate
    suffix = "_proj" if shape.family == "deberta-v2" else ""
    for projection in ("query", "key", "value"):
        yield from _dense(f"{prefix}.attention.self.{projection}{suffix}", hidden, hidden)
    yield from _dense(f"{prefix}.attention.output.dense", hidden, hidden)
    yield from _norm(f"{prefix}.attention.output.LayerNorm", hidden)
    if shape.family == "jinabert":
        yield f"{prefix}.mlp.gated_layers.weight", (2 * intermediate, hidden)
        yield from _dense(f"{prefix}.mlp.wo", hidden, intermediate)
        yield from _norm(f"{prefix}.mlp.layernorm", hidden)
    else:
        yield from _dense(f"{prefix}.intermediate.dense", intermediate, hidden)
        yield from _dense(f"{prefix}.output.dense", hidden, intermediate)
        yield from _norm(f"{prefix}.output.LayerNorm", hidden)


def _head(shape: Shape, prefix: str) -> Iterator[tuple[str, Sizes]]:
    match shape.family:
        case "bert" | "jinabert":
            yield from _dense(f"{prefix}.pooler.dense", shape.hidden, shape.hidden)
            yield from _dense("classifier", shape.labels, shape.hidden)
        case "xlm-roberta":
            yield from _dense("classifier.dense", shape.hidden, shape.hidden)
            yield from _dense("classifier.out_proj", shape.labels, shape.hidden)
        case "deberta-v2":
            yield from _dense("pooler.dense", shape.hidden, shape.hidden)
            yield from _dense("classifier", shape.labels, shape.hidden)


def _dense(name: str, outputs: int, inputs: int) -> Iterator[tuple[str, Sizes]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, size: int) -> Iterator[tuple[str, Sizes]]:
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)
