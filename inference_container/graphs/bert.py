"""BERT, JinaBERT and XLM-RoBERTa encoders: one graph, two switches.

                         positions                               feed-forward
    BERT, XLM-RoBERTa    a learned table, added to the input     up, GELU, down
    JinaBERT             symmetric ALiBi, added to the scores    GEGLU: GELU(gate) * up, down

Attention is written out as products and a softmax, which the CPU plugin fuses into one kernel together with the
bias and the mask: scores, (heads, L, L) for a sequence, are never in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from openvino import Model, Node, Type
from openvino import opset15 as op

from inference_container.alibi import slopes
from inference_container.graphs.layers import constant, integers, layer_norm, linear
from inference_container.graphs.weights import Weight, Weights
from rerank_toolkit.catalog.shapes import Shape

_MASKED = np.float32(-1e9)
"""Added to the scores of padding: e to the power of it is 0, and nothing overflows."""


def build(shape: Shape, weights: Weights, prefix: str) -> Model:
    """The encoder of the tensors that start with `prefix`; see the package for its inputs and output."""
    embeddings = op.parameter([-1, -1, shape.hidden], Type.f32, name="embeddings")
    type_ids = op.parameter([-1, -1], Type.i32, name="type_ids")
    lengths = op.parameter([-1], Type.i32, name="lengths")

    places = _places(embeddings)  # (L,)
    x = _embed(embeddings, type_ids, shape, weights, f"{prefix}.embeddings")  # (B, L, hidden)
    bias = _Bias.of(shape, places, lengths)
    for number in range(shape.layers):
        layer = _Layer(shape, weights, f"{prefix}.encoder.layer.{number}")
        x = layer.first_token(x, bias) if number == shape.layers - 1 else layer(x, bias)
    first = op.squeeze(x, integers(1))  # (B, hidden)
    inputs = [embeddings, type_ids, lengths] if shape.token_types > 1 else [embeddings, lengths]
    return Model([op.result(first)], inputs, "encoder")


def _places(embeddings: Node) -> Node:
    """0 to L - 1, as fp32: (L,)."""
    length = op.gather(op.shape_of(embeddings, "i32"), op.constant(1), op.constant(0))
    return op.convert(op.range(op.constant(0), length, op.constant(1), "i32"), "f32")


def _embed(embeddings: Node, type_ids: Node, shape: Shape, weights: Weights, prefix: str) -> Node:
    x: Node = embeddings
    if shape.token_types > 1:
        x = op.add(x, op.gather(constant(weights[f"{prefix}.token_type_embeddings.weight"]), type_ids, op.constant(0)))
    elif shape.token_types:
        x = op.add(x, constant(weights[f"{prefix}.token_type_embeddings.weight"]))
    if shape.positions:
        table = weights[f"{prefix}.position_embeddings.weight"]
        used = Weight(table.data[shape.first_position :], table.dtype)
        end = op.gather(op.shape_of(embeddings), integers(1), op.constant(0))
        x = op.add(x, op.slice(constant(used), integers(0), end, integers(1), integers(0)))
    return layer_norm(x, weights, f"{prefix}.LayerNorm", shape.layer_norm_eps)


@dataclass(frozen=True, slots=True)
class _Bias:
    """What is added to scaled attention scores (B, heads, L, L): nothing of that size, only its factors."""

    mask: Node  # (B, 1, 1, L): 0, or _MASKED for padding
    distance: Node | None  # (1, 1, L, L): -|i - j|
    slope: Node | None  # (1, heads, 1, 1)

    @classmethod
    def of(cls, shape: Shape, places: Node, lengths: Node) -> _Bias:
        real = op.less(places, op.convert(op.unsqueeze(lengths, integers(1)), "f32"))  # (B, L)
        mask = op.select(real, op.constant(np.float32(0)), op.constant(_MASKED))
        mask = op.unsqueeze(mask, integers(1, 2))
        if shape.family != "jinabert":
            return cls(mask, None, None)
        apart = op.subtract(op.unsqueeze(places, integers(1)), op.unsqueeze(places, integers(0)))  # (L, L)
        distance = op.unsqueeze(op.negative(op.abs(apart)), integers(0, 1))
        slope = np.array(slopes(shape.heads), dtype=np.float32).reshape(1, shape.heads, 1, 1)
        return cls(mask, distance, op.constant(slope))

    def of_first_token(self) -> _Bias:
        """That of the first query alone."""
        if self.distance is None:
            return self
        line = op.slice(self.distance, integers(0), integers(1), integers(1), integers(2))  # (1, 1, 1, L)
        return _Bias(self.mask, line, self.slope)

    def add_to(self, scores: Node) -> Node:
        if self.distance is not None:
            scores = op.add(scores, op.multiply(self.distance, self.slope))
        return op.add(scores, self.mask)


class _Layer:
    """Post-norm: each block's output is added to its input and the sum normalised."""

    def __init__(self, shape: Shape, weights: Weights, prefix: str) -> None:
        self.shape, self.weights, self.prefix = shape, weights, prefix

    def __call__(self, x: Node, bias: _Bias) -> Node:
        """(B, L, hidden) to the same."""
        q, k, v = self._heads(self._linear(x, "query", "key", "value"), 3)
        return self._feed_forward(self._attend(x, q, k, v, bias))

    def first_token(self, x: Node, bias: _Bias) -> Node:
        """(B, L, hidden) to (B, 1, hidden), each sequence's first token.

        Exact, for nothing after the last layer looks at other tokens: keys and values of all of them, query and
        feed-forward of one.
        """
        first = op.slice(x, integers(0), integers(1), integers(1), integers(1))  # (B, 1, hidden)
        (q,) = self._heads(self._linear(first, "query"), 1)
        k, v = self._heads(self._linear(x, "key", "value"), 2)
        return self._feed_forward(self._attend(first, q, k, v, bias.of_first_token()))

    def _linear(self, x: Node, *names: str) -> Node:
        return linear(x, self.weights, *(f"{self.prefix}.attention.self.{name}" for name in names))

    def _heads(self, x: Node, parts: int) -> list[Node]:
        """(B, L, parts * hidden) to `parts` of (B, heads, L, head_dim)."""
        heads, size = self.shape.heads, self.shape.hidden // self.shape.heads
        x = op.reshape(x, integers(0, 0, parts * heads, size), special_zero=True)
        split = op.split(x, op.constant(2), parts).outputs()
        return [op.transpose(part, integers(0, 2, 1, 3)) for part in split]  # [B, L, heads, size] each before

    def _attend(self, x: Node, q: Node, k: Node, v: Node, bias: _Bias) -> Node:
        scale = op.constant(np.float32(1 / math.sqrt(self.shape.hidden // self.shape.heads)))
        scores = op.matmul(op.multiply(q, scale), k, transpose_a=False, transpose_b=True)  # (B, heads, rows, L)
        attended = op.matmul(op.softmax(bias.add_to(scores), -1), v, transpose_a=False, transpose_b=False)
        rows = op.transpose(attended, integers(0, 2, 1, 3))  # (B, rows, heads, head_dim)
        rows = op.reshape(rows, integers(0, 0, self.shape.hidden), special_zero=True)
        return self._add_norm(
            linear(rows, self.weights, f"{self.prefix}.attention.output.dense"), x, "attention.output.LayerNorm"
        )

    def _feed_forward(self, x: Node) -> Node:
        if self.shape.family != "jinabert":
            up = op.gelu(linear(x, self.weights, f"{self.prefix}.intermediate.dense"), "erf")
            return self._add_norm(linear(up, self.weights, f"{self.prefix}.output.dense"), x, "output.LayerNorm")
        both = linear(x, self.weights, f"{self.prefix}.mlp.gated_layers", bias=False)  # (B, rows, 2 * intermediate)
        gate, up = op.split(both, op.constant(-1), 2).outputs()
        gated = op.multiply(op.gelu(gate, "erf"), up)
        return self._add_norm(linear(gated, self.weights, f"{self.prefix}.mlp.wo"), x, "mlp.layernorm")

    def _add_norm(self, block: Node, x: Node, name: str) -> Node:
        return layer_norm(op.add(block, x), self.weights, f"{self.prefix}.{name}", self.shape.layer_norm_eps)
