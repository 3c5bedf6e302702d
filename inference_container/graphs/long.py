"""JinaBERT over one long sequence: each head looks only as far as it can see.

Attention grows with the square of the length, and ALiBi makes most of it vain: a head of slope 1/2 gives a key 100
tokens away e to the power of -50 of what it would get nearby. How far a head sees depends on the weights and the text,
so attention is taken out of the graph: between the layers' graphs, each head's queries go in blocks through one
small graph together with the keys within reach.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino import Model, Type
from openvino import opset15 as op

from inference_container.alibi import slopes
from inference_container.graphs.bert import Layer, embed, nearness
from inference_container.graphs.compiled import CompiledGraph, Precision
from inference_container.graphs.weights import Weights
from rerank_toolkit.catalog.shapes import Shape

_ROWS = 512
"""Queries in a block: few, for the keys near any of them are all looked at; many enough for efficient products."""

_STEP = 256
"""Reaches are rounded up to multiples of this: the plugin prepares kernels for each new shape, and keeps them."""

_BITS = {"f32": 24, "bf16": 16, "f16": 16}
"""What a head doesn't see, weighs less than 2 to the power of minus this, well below the precision's last place."""


class LongEncoder:
    """As the encoder graph, for one sequence without padding. Its graphs hold the weights a second time."""

    def __init__(self, shape: Shape, weights: Weights, *, threads: int, precision: Precision) -> None:
        self._shape, self._bits = shape, _BITS[precision]
        self._steps = [
            CompiledGraph(model, weights, threads=threads, precision=precision) for model in _steps(shape, weights)
        ]
        self._attention = CompiledGraph(_attention(shape), {}, threads=threads, precision=precision)

    def __call__(self, words: NDArray[np.float32], type_ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """The last layer's first token, (hidden,), from rows of the word table (L, hidden) and token types (L,)."""
        *steps, last = self._steps
        inputs: dict[str, NDArray[Any]] = {"embeddings": words, "type_ids": type_ids}
        for step in steps:
            x, *projected = _in_blocks(step, inputs)  # (L, hidden) each
            queries = 1 if step is steps[-1] else len(x)  # of the last layer's output only the first token is read
            inputs = {"x": x[:queries], "attended": self._attend(projected, queries)}
        (output,) = _in_blocks(last, inputs)
        first: NDArray[np.float32] = output[0]
        return first

    def _attend(self, projected: Sequence[NDArray[np.float32]], queries: int) -> NDArray[np.float32]:
        """(queries, hidden) from queries, keys and values, (L, hidden) each."""
        length, heads = len(projected[0]), self._shape.heads
        by_head = (part.reshape(length, heads, -1).transpose(1, 0, 2) for part in projected)
        q, k, v = map(np.ascontiguousarray, by_head)  # (heads, L, head_dim) each
        attended = np.empty((queries, heads, q.shape[-1]), dtype=np.float32)
        for head, (distance, slope) in enumerate(zip(reach(q, k, self._bits), slopes(heads), strict=True)):
            for rows, keys in _blocks(queries, length, -(-distance // _STEP) * _STEP):
                near = slice(keys.start, keys.stop)
                inputs = {
                    "q": q[None, None, head, rows.start : rows.stop],
                    "k": k[None, None, head, near],
                    "v": v[None, None, head, near],
                    "nearness": nearness(rows, keys),
                    "slope": np.full((1, 1, 1, 1), slope, dtype=np.float32),
                }
                (mixed,) = self._attention(inputs)  # (1, 1, rows, head_dim)
                attended[rows.start : rows.stop, head] = mixed[0, 0]
        return attended.reshape(queries, -1)


def _in_blocks(graph: CompiledGraph, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """The graph's outputs, (rows, columns) each, computed a few rows at a time: activations stay in the cache."""
    rows = len(next(iter(inputs.values())))
    blocks = [
        graph({name: value[None, start : start + _ROWS] for name, value in inputs.items()})
        for start in range(0, rows, _ROWS)
    ]
    return [np.concatenate(parts, axis=1)[0] for parts in zip(*blocks, strict=True)]


def reach(q: NDArray[np.float32], k: NDArray[np.float32], bits: int) -> list[int]:
    """Distance within which each head has all but 2^-bits of its weight, whatever the query; at most the length.

    q and k are (heads, L, head_dim). By Cauchy-Schwarz no scaled score of query i is beyond |q_i| * max |k|. So a key
    at distance d weighs at most e^(excess - slope * d) of what the query's own place does, where excess is that bound
    less the score of its own place; the keys beyond the distance returned together weigh less than 2^-bits of it.
    """
    heads, length, size = k.shape
    bound = np.linalg.norm(q, axis=-1) * np.linalg.norm(k, axis=-1).max(axis=-1, keepdims=True)  # (heads, L)
    own = np.einsum("hld,hld->hl", q, k)
    excess = (bound - own).max(axis=-1) / math.sqrt(size)  # (heads,)
    distance = (excess + math.log(length * 2**bits)) / np.array(slopes(heads), dtype=np.float32)
    # NaN isn't less: it takes the whole length, and shows in the scores.
    return [math.ceil(found) if found < length else length for found in distance.tolist()]


def _blocks(queries: int, length: int, distance: int) -> Iterator[tuple[range, range]]:
    """The first `queries` places, and with them the keys that are no further than `distance` from one of them."""
    for start in range(0, queries, _ROWS):
        stop = min(start + _ROWS, queries)
        yield range(start, stop), range(max(0, start - distance), min(length, stop + distance))


def _steps(shape: Shape, weights: Weights) -> Iterator[Model]:
    """What is before, between and after the layers' attentions: work on each token by itself.

    Each gives a layer's input and its queries, keys and values, (1, rows, hidden) each; the last one gives the
    encoder's output.
    """
    layers = [Layer(shape, weights, "bert", number) for number in range(shape.layers)]
    words = op.parameter([1, -1, shape.hidden], Type.f32, name="embeddings")
    type_ids = op.parameter([1, -1], Type.i32, name="type_ids")
    x = embed(words, type_ids, shape, weights, "bert")
    yield Model([op.result(output) for output in (x, *layers[0].project(x))], [words, type_ids], "before layer 0")
    for number, layer in enumerate(layers):
        inputs = [op.parameter([1, -1, shape.hidden], Type.f32, name=name) for name in ("attended", "x")]
        x = layer.finish(*inputs)
        outputs = [x] if layer is layers[-1] else [x, *layers[number + 1].project(x)]
        yield Model([op.result(output) for output in outputs], inputs, f"layer {number}")


def _attention(shape: Shape) -> Model:
    """One head: q (1, 1, rows, head_dim), k and v (1, 1, keys, head_dim), nearness (1, 1, rows, keys), slope."""
    size = shape.hidden // shape.heads
    q, k, v = (op.parameter([1, 1, -1, size], Type.f32, name=name) for name in ("q", "k", "v"))
    near = op.parameter([1, 1, -1, -1], Type.f32, name="nearness")
    slope = op.parameter([1, 1, 1, 1], Type.f32, name="slope")
    scaled = op.multiply(q, op.constant(np.float32(1 / math.sqrt(size))))
    scores = op.add(op.matmul(scaled, k, transpose_a=False, transpose_b=True), op.multiply(near, slope))
    attended = op.matmul(op.softmax(scores, -1), v, transpose_a=False, transpose_b=False)
    return Model([op.result(attended)], [q, k, v, near, slope], "attention")
