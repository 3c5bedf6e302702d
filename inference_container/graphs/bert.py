"""BERT, JinaBERT and XLM-RoBERTa encoders: one graph, two switches.

                         positions                               feed-forward
    BERT, XLM-RoBERTa    a learned table, added to the input     up, GELU, down
    JinaBERT             symmetric ALiBi, added to the scores    GEGLU: GELU(gate) * up, down

Attention is written out as products and a softmax, which the CPU plugin fuses into one kernel together with the
bias and the mask: scores, (heads, L, L) for a sequence, are never in memory.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from openvino import Model, Node, Type
from openvino import opset15 as op

from inference_container.alibi import slopes
from inference_container.graphs.layers import constant, integers, layer_norm, linear, linears
from inference_container.graphs.weights import Weight, Weights
from rerank_toolkit.catalog.shapes import Shape

MASKED = np.float32(-1e9)
"""Added to the scores of padding: e to the power of it is 0, and nothing overflows."""


def build(shape: Shape, weights: Weights, prefix: str) -> Model:
    """The encoder of the tensors that start with `prefix`; see the package for its inputs and output."""
    embeddings = op.parameter([-1, -1, shape.hidden], Type.f32, name="embeddings")
    type_ids = op.parameter([-1, -1], Type.i32, name="type_ids")
    bias = Bias(shape)

    x = embed(embeddings, type_ids, shape, weights, prefix)  # (B, L, hidden)
    for number in range(shape.layers):
        layer = Layer(shape, weights, prefix, number)
        x = layer.first_token(x, bias) if number == shape.layers - 1 else layer(x, bias)
    first = op.squeeze(x, integers(1))  # (B, hidden)
    inputs = [embeddings, *([type_ids] if shape.token_types > 1 else []), *bias.inputs]
    return Model([op.result(first)], inputs, "encoder")


def embed(words: Node, type_ids: Node, shape: Shape, weights: Weights, prefix: str) -> Node:
    """The first layer's input (B, L, hidden), from rows of the word table (B, L, hidden) and token types (B, L)."""
    prefix = f"{prefix}.embeddings"
    x: Node = words
    if shape.token_types > 1:
        x = op.add(x, op.gather(constant(weights[f"{prefix}.token_type_embeddings.weight"]), type_ids, op.constant(0)))
    elif shape.token_types:
        x = op.add(x, constant(weights[f"{prefix}.token_type_embeddings.weight"]))
    if shape.positions:
        table = weights[f"{prefix}.position_embeddings.weight"]
        used = Weight(table.data[shape.first_position :], table.dtype)
        end = op.gather(op.shape_of(words), integers(1), op.constant(0))
        x = op.add(x, op.slice(constant(used), integers(0), end, integers(1), integers(0)))
    return layer_norm(x, weights, f"{prefix}.LayerNorm", shape.layer_norm_eps)


class Scores(Protocol):
    """How attention tells near from far: all that differs between families in a layer's attention."""

    def scores(self, q: Node, k: Node, *, first_token_only: bool) -> Node:
        """Biased scores (B, heads, rows, L) of q (B, heads, rows, head_dim) and k (B, heads, L, head_dim)."""


class Bias:
    """What is added to the scaled attention scores of every layer.

    The factors are inputs of the graph and not computed in it, for two reasons: the plugin would round what is
    computed to the graph's precision, and would keep the product of distances and slopes, (heads, L, L).
    """

    def __init__(self, shape: Shape) -> None:
        self.mask = op.parameter([-1, 1, 1, -1], Type.f32, name="mask")
        self.inputs = [self.mask]
        self.slope: Node | None = None
        self.scale = op.constant(np.float32(1 / math.sqrt(shape.hidden // shape.heads)))
        if shape.family == "jinabert":
            slope = np.array(slopes(shape.heads), dtype=np.float32).reshape(1, shape.heads, 1, 1)
            self.slope = op.constant(slope)
            self.scale = op.constant(slope**-1 / np.float32(math.sqrt(shape.hidden // shape.heads)))
            self.nearness = op.parameter([1, 1, -1, -1], Type.f32, name="nearness")
            self.nearness_to_first = op.parameter([1, 1, 1, -1], Type.f32, name="nearness_to_first")
            self.inputs += [self.nearness, self.nearness_to_first]

    def scores(self, q: Node, k: Node, *, first_token_only: bool) -> Node:
        """Biased scores (B, heads, rows, L) of q (B, heads, rows, head_dim) and k (B, heads, L, head_dim)."""
        scores = op.matmul(op.multiply(q, self.scale), k, transpose_a=False, transpose_b=True)
        if self.slope is not None:  # slope * (q * k / slope - distance): nothing here is common to all layers
            nearness = self.nearness_to_first if first_token_only else self.nearness
            scores = op.multiply(op.add(scores, nearness), self.slope)
        return op.add(scores, self.mask)


def nearness(queries: range, keys: range) -> NDArray[np.float32]:
    """-|i - j| of each query i and key j: (1, 1, queries, keys)."""
    line = -np.abs(np.arange(keys.start - queries.stop + 1, keys.stop - queries.start, dtype=np.float32))
    rows = np.lib.stride_tricks.sliding_window_view(line, len(keys))[::-1]  # all rows are this line, moved by one
    return rows[None, None].copy()


class Layer:
    """Post-norm: each block's output is added to its input and the sum normalised."""

    def __init__(self, shape: Shape, weights: Weights, prefix: str, number: int) -> None:
        self.shape, self.weights, self.prefix = shape, weights, f"{prefix}.encoder.layer.{number}"

    def __call__(self, x: Node, bias: Scores) -> Node:
        """(B, L, hidden) to the same."""
        q, k, v = map(self._heads, self.project(x))
        return self.finish(self._attend(q, k, v, bias, first_token_only=False), x)

    def first_token(self, x: Node, bias: Scores) -> Node:
        """(B, L, hidden) to (B, 1, hidden), each sequence's first token.

        Exact, for nothing after the last layer looks at other tokens: keys and values of all of them, query and
        feed-forward of one.
        """
        first = op.slice(x, integers(0), integers(1), integers(1), integers(1))  # (B, 1, hidden)
        (q,) = map(self._heads, self.project(first, "query"))
        k, v = map(self._heads, self.project(x, "key", "value"))
        return self.finish(self._attend(q, k, v, bias, first_token_only=True), first)

    def project(self, x: Node, *names: str) -> list[Node]:
        """Of (B, L, hidden) what attention compares and mixes, all three unless told less: (B, L, hidden) each."""
        names = names or ("query", "key", "value")
        return linears(x, self.weights, *(f"{self.prefix}.attention.self.{name}" for name in names))

    def finish(self, attended: Node, x: Node) -> Node:
        """The layer's output from what attention made of its input `x`, all (B, rows, hidden)."""
        dense = linear(attended, self.weights, f"{self.prefix}.attention.output.dense")
        return self._feed_forward(self._add_norm(dense, x, "attention.output.LayerNorm"))

    def _heads(self, x: Node) -> Node:
        """(B, L, hidden) to (B, heads, L, head_dim)."""
        heads, size = self.shape.heads, self.shape.hidden // self.shape.heads
        x = op.reshape(x, integers(0, 0, heads, size), special_zero=True)  # (B, L, heads, head_dim)
        return op.transpose(x, integers(0, 2, 1, 3))

    def _attend(self, q: Node, k: Node, v: Node, bias: Scores, *, first_token_only: bool) -> Node:
        """(B, rows, hidden) from q (B, heads, rows, head_dim), k and v (B, heads, L, head_dim)."""
        weights = op.softmax(bias.scores(q, k, first_token_only=first_token_only), -1)
        attended = op.matmul(weights, v, transpose_a=False, transpose_b=False)
        rows = op.transpose(attended, integers(0, 2, 1, 3))  # (B, rows, heads, head_dim)
        return op.reshape(rows, integers(0, 0, self.shape.hidden), special_zero=True)

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
