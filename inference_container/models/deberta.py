"""The encoder of DeBERTa-v2 over ragged batches: disentangled attention, no padding anywhere.

Tokens carry no positions. Instead each score adds three products, of contents and of the learned embedding of the
distance between query i and key j, all through the layer's own projections, as their sum over sqrt(3 * head_dim):

    content to content     q_i . k_j
    content to position    q_i . key(rel[i - j])
    position to content    query(rel[i - j]) . k_j

Far distances share embeddings: see distance_buckets. The products with `rel` are taken once a distance, not once a
pair; the matrix of a sequence is then a view of them, each line moved by one.

He et al., DeBERTa (arXiv:2006.03654); He et al., DeBERTaV3 (arXiv:2111.09543). Fixed here, as in the published v3
checkpoints: shared projections (share_att_key), normalised embeddings of distances (norm_rel_ebd), no embeddings
of absolute positions or token types.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference_container.distance_buckets import distance_buckets
from inference_container.models.bert import Embeddings, Layer, Spans
from rerank_toolkit.catalog.shapes import Shape


class Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape)
        self.encoder = nn.ModuleDict(
            {
                "layer": nn.ModuleList(Layer(shape, Attention(shape)) for _ in range(shape.layers)),
                "rel_embeddings": nn.Embedding(shape.relative_positions, shape.hidden),
                "LayerNorm": nn.LayerNorm(shape.hidden, eps=shape.layer_norm_eps),
            }
        )

    def forward(self, ids: Tensor, type_ids: Tensor, offsets: list[int]) -> Tensor:
        """The last layer's output for the first token of each sequence, (sequences, hidden)."""
        spans = list(pairwise(offsets))
        x = self.embeddings(ids, type_ids, spans)  # (tokens, hidden)
        distances = self.embed_distances(max(end - start for start, end in spans))
        *layers, last = cast(Iterable[Layer], self.encoder["layer"])
        for layer in layers:
            x = layer(x, spans, distances)  # (tokens, hidden)
        return last.first_token(x, spans, distances)

    def embed_distances(self, longest: int) -> Tensor:
        """The embedding of each distance from -(longest - 1) to longest - 1: (2 * longest - 1, hidden)."""
        table: Tensor = self.encoder["LayerNorm"](self.encoder["rel_embeddings"].weight)
        rows = torch.from_numpy(distance_buckets(longest, len(table)))
        return table[rows.to(table.device)]


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        hidden = shape.hidden
        self.self = nn.ModuleDict({f"{name}_proj": nn.Linear(hidden, hidden) for name in ("query", "key", "value")})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(hidden, hidden), "LayerNorm": nn.LayerNorm(hidden, eps=shape.layer_norm_eps)}
        )

    def forward(self, x: Tensor, context: Tensor, x_spans: Spans, context_spans: Spans, distances: Tensor) -> Tensor:
        """Rows of `x` (rows, hidden), the first ones of their sequences, look at all of `context` (tokens, hidden).

        `distances` is embed_distances of the longest sequence.
        """
        q, k, v, key_of, query_of = (
            self.self[f"{name}_proj"](rows).unflatten(-1, (self.heads, -1)).transpose(0, 1)  # (heads, rows, head_dim)
            for name, rows in (
                ("query", x),
                ("key", context),
                ("value", context),
                ("key", distances),
                ("query", distances),
            )
        )
        key_of = key_of.flip(1)  # from the largest distance down, that is, in the order of the keys
        attended = [
            attend(q[:, slice(*rows)], k[:, slice(*keys)], v[:, slice(*keys)], key_of, query_of)  # (rows, hidden)
            for rows, keys in zip(x_spans, context_spans, strict=True)
        ]
        normed: Tensor = self.output["LayerNorm"](self.output["dense"](torch.cat(attended)) + x)
        return normed


def attend(q: Tensor, k: Tensor, v: Tensor, key_of: Tensor, query_of: Tensor) -> Tensor:
    """Attention of the first rows of one sequence, (rows, hidden).

    q is (heads, rows, head_dim), k and v (heads, length, head_dim). key_of and query_of, (heads, distances,
    head_dim), have distance 0 in the middle; distances fall in key_of and grow in query_of.
    """
    (heads, rows, size), length = q.shape, k.shape[1]
    middle, width = key_of.shape[1] // 2, rows + length - 1
    # Line i of `from_content` holds keys 0 to length - 1 from column rows - 1 - i on, line j of `to_content`
    # queries 0 to rows - 1 from column length - 1 - j on.
    from_content = q @ key_of[:, middle - rows + 1 : middle + length].mT  # (heads, rows, width)
    to_content = k @ query_of[:, middle - length + 1 : middle + rows].mT  # (heads, length, width)
    bias = from_content.as_strided((heads, rows, length), (rows * width, width - 1, 1), rows - 1)
    bias = bias + to_content.as_strided((heads, rows, length), (length * width, 1, width - 1), length - 1)
    scale = (3 * size) ** -0.5
    attended = F.scaled_dot_product_attention(q[None], k[None], v[None], scale * bias[None], scale=scale)
    return attended[0].transpose(0, 1).flatten(1)
