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


def normalise(tensors: Tensors, shape: Shape, *, name: str) -> dict[str, NDArray[Any]]:
    """`tensors` under today's names, in the order of `published_tensors`, buffers dropped.

    Raises InvalidInput, in which `name` says whose tensors they are, with every tensor that is missing, left
    over or of another size.
    """
    ours = {_modern(found): tensor for found, tensor in tensors.items() if found.rpartition(".")[2] not in _BUFFERS}
    faults = list(_compare({found: tensor.shape for found, tensor in ours.items()}, shape))
    if len(faults) > MOST_FAULTS:
        faults[MOST_FAULTS:] = [Fault("", f"and {len(faults) - MOST_FAULTS} more tensors")]
    if faults:
        raise InvalidInput(f"{name} does not hold the weights of this model", faults)
    return {tensor: ours[tensor] for tensor in published_tensors(shape)}


def _compare(found: Mapping[str, Sizes], shape: Shape) -> Iterator[Fault]:
    expected = published_tensors(shape)
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
