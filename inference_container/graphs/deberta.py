"""The DeBERTa-v2 encoder: layers as BERT's, but scores that add three products of contents and distances.

    content to content     q_i . k_j
    content to position    q_i . key(rel[i - j])
    position to content    query(rel[i - j]) . k_j

over sqrt(3 * head_dim). key(rel) and query(rel) depend on the weights alone, so each layer holds them as tables of
distances. The products with them are taken once a distance and then moved into place by `shifted`, which copies
runs of memory; gathering each of the L * L entries takes several times as long.

He et al., DeBERTa (arXiv:2006.03654).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from openvino import Model, Node, Type
from openvino import opset15 as op

from inference_container.checkpoints import SCALE, STEP, WEIGHT
from inference_container.distance_buckets import distance_buckets
from inference_container.graphs.bert import Layer, embed
from inference_container.graphs.layers import integers, linears
from inference_container.graphs.weights import Weights
from rerank_toolkit.catalog.shapes import DEBERTA_DISTANCES, Shape


def build(shape: Shape, weights: Weights, prefix: str) -> Model:
    """The encoder of the tensors that start with `prefix`, for at most DEBERTA_DISTANCES tokens; inputs as BERT's."""
    embeddings = op.parameter([-1, -1, shape.hidden], Type.f32, name="embeddings")
    mask = op.parameter([-1, 1, 1, -1], Type.f32, name="mask")
    distances = Distances(shape, weights, prefix, op.gather(op.shape_of(mask), integers(3), op.constant(0)))

    x = embed(embeddings, embeddings, shape, weights, prefix)  # (B, L, hidden), without token types
    for number in range(shape.layers):
        layer = DisentangledLayer(shape, weights, prefix, number)
        bias = DisentangledBias(shape, weights, layer.prefix, distances, mask)
        x = layer.first_token(x, bias) if number == shape.layers - 1 else layer(x, bias)
    return Model([op.result(op.squeeze(x, integers(1)))], [embeddings, mask], "encoder")


class Distances:
    """What all layers know of distances in a batch of sequences padded to L tokens."""

    def __init__(self, shape: Shape, weights: Weights, prefix: str, length: Node) -> None:
        """`length` is L, (1,)."""
        encoder = f"{prefix}.encoder"
        self.table = normalised(weights, f"{encoder}.rel_embeddings.weight", f"{encoder}.LayerNorm", shape)
        self.length = length
        self.before = op.subtract(length, integers(1))
        self.both_ways = op.subtract(op.multiply(length, integers(2)), integers(1))  # 2 * L - 1
        rows = distance_buckets(DEBERTA_DISTANCES, shape.relative_positions)
        # Rows of the table for i - j, of which the middle one is 0: (2 * L - 1,) each.
        first = op.subtract(integers(DEBERTA_DISTANCES), length)
        last = op.add(first, self.both_ways)
        self.rising = op.slice(op.constant(rows), first, last, integers(1), integers(0))
        self.falling = op.slice(op.constant(rows[::-1].copy()), first, last, integers(1), integers(0))
        self.of_first_token = op.slice(self.falling, self.before, self.both_ways, integers(1), integers(0))  # (L,)


def normalised(weights: Weights, table: str, norm: str, shape: Shape) -> NDArray[np.float32]:
    """A table (rows, hidden) after layer normalisation."""
    rows = weights[table].widened()
    centred = rows - rows.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(shape.layer_norm_eps))
    scaled: NDArray[np.float32] = centred / deviation * weights[f"{norm}.weight"].widened()
    return scaled + weights[f"{norm}.bias"].widened()


def matrix(weights: Weights, name: str) -> NDArray[np.float32]:
    """The weight matrix (outputs, inputs) of a dense layer, whether its artifact is of floats or of int8's codes."""
    stored = weights[f"{name}{WEIGHT}"]
    if f"{name}{SCALE}" not in weights:
        return stored.widened()
    scale, step = weights[f"{name}{SCALE}"].data, weights[f"{name}{STEP}"].data
    widened: NDArray[np.float32] = stored.data * scale[:, None] / step
    return widened


class DisentangledLayer(Layer):
    def project(self, x: Node, *names: str) -> list[Node]:
        names = names or ("query", "key", "value")
        return linears(x, self.weights, *(f"{self.prefix}.attention.self.{name}_proj" for name in names))


class DisentangledBias:
    """One layer's scores, in place of bert.Bias."""

    def __init__(self, shape: Shape, weights: Weights, layer: str, distances: Distances, mask: Node) -> None:
        self.distances, self.mask = distances, mask
        scale = np.float32(1 / math.sqrt(3 * shape.hidden // shape.heads))

        def project(name: str) -> NDArray[np.float32]:
            """(1, heads, rows, head_dim)"""
            dense = f"{layer}.attention.self.{name}_proj"
            projected = distances.table @ matrix(weights, dense).T + weights[f"{dense}.bias"].widened()
            return projected.reshape(1, len(projected), shape.heads, -1).transpose(0, 2, 1, 3).copy()

        self.scale = op.constant(scale)
        self.key_of = op.constant(project("key"))
        self.query_of = op.constant(project("query") * scale)

    def scores(self, q: Node, k: Node, *, first_token_only: bool) -> Node:
        """Scores (B, heads, rows, L) of q (B, heads, rows, head_dim) and k (B, heads, L, head_dim)."""
        q = op.multiply(q, self.scale)
        content = op.matmul(q, k, transpose_a=False, transpose_b=True)
        add = self._of_first_token if first_token_only else self._of_all
        from_content, to_content = add(q, k)
        return op.add(op.add(op.add(content, from_content), to_content), self.mask)

    def _of_all(self, q: Node, k: Node) -> tuple[Node, Node]:
        distances, axis = self.distances, op.constant(2)
        keys, queries = (
            op.gather(self.key_of, distances.falling, axis),
            op.gather(self.query_of, distances.rising, axis),
        )
        from_content = shifted(op.matmul(q, keys, transpose_a=False, transpose_b=True), distances)  # [i, j]
        to_content = shifted(op.matmul(k, queries, transpose_a=False, transpose_b=True), distances)  # [j, i]
        return from_content, op.transpose(to_content, integers(0, 1, 3, 2))

    def _of_first_token(self, q: Node, k: Node) -> tuple[Node, Node]:
        keys, queries = (
            op.gather(table, self.distances.of_first_token, op.constant(2)) for table in (self.key_of, self.query_of)
        )
        from_content = op.matmul(q, keys, transpose_a=False, transpose_b=True)  # (B, heads, 1, L)
        to_content = op.reduce_sum(op.multiply(k, queries), integers(3))  # (B, heads, L)
        return from_content, op.unsqueeze(to_content, integers(2))


def shifted(products: Node, distances: Distances) -> Node:
    """From (B, heads, L, 2 * L - 1) the matrix (B, heads, L, L) of which line i begins at column L - 1 - i.

    Laid end to end without the first L - 1, lines that are one shorter begin each one column earlier.
    """
    length, before = distances.length, distances.before
    shorter = op.subtract(distances.both_ways, integers(1))  # 2 * L - 2
    flat = op.reshape(products, integers(0, 0, -1), special_zero=True)
    flat = op.slice(flat, before, op.add(before, op.multiply(length, shorter)), integers(1), integers(2))
    lines = op.reshape(flat, op.concat([integers(0, 0), length, shorter], 0), special_zero=True)
    return op.slice(lines, integers(0), length, integers(1), integers(3))
