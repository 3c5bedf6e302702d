"""The encoder of BERT, JinaBERT and XLM-RoBERTa over ragged batches: no padding anywhere.

One file for the three, because they differ in few places only:

                  positions                                   feed-forward
    BERT          a learned table, added to the input         up, GELU, down
    XLM-RoBERTa   the same, from the table's third row on     up, GELU, down
    JinaBERT      symmetric ALiBi, added to the scores        GEGLU: GELU(gate) * up, down

Modules are named as the published tensors are, so a checkpoint loads by name.

Devlin et al., BERT (arXiv:1810.04805); Conneau et al., XLM-R (arXiv:1911.02116); Günther et al., Jina Embeddings 2
(arXiv:2310.19923) for symmetric ALiBi; Shazeer, GLU Variants (arXiv:2002.05202).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference_container.models.attention import attend, distance_bias
from rerank_toolkit.catalog.shapes import Shape

Spans = list[tuple[int, int]]

ROWS_AT_ONCE = 1024
"""Tokens that pass through a feed-forward block together: bounds its activations, the widest of all."""


class Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.alibi = shape.family == "jinabert"
        self.embeddings = Embeddings(shape)
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(Layer(shape, Attention(shape)) for _ in range(shape.layers))}
        )

    def forward(self, ids: Tensor, type_ids: Tensor, offsets: list[int]) -> Tensor:
        """The last layer's output for the first token of each sequence, (sequences, hidden)."""
        spans = list(pairwise(offsets))
        x = self.embeddings(ids, type_ids, spans)  # (tokens, hidden)
        bias = distance_bias(self.heads, max(end - start for start, end in spans), x) if self.alibi else None
        *layers, last = cast(Iterable[Layer], self.encoder["layer"])
        for layer in layers:
            x = layer(x, spans, bias)  # (tokens, hidden)
        return last.first_token(x, spans, bias)


class Embeddings(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.first_position = shape.first_position
        self.word_embeddings = nn.Embedding(shape.vocabulary, shape.hidden)
        self.position_embeddings = nn.Embedding(shape.positions, shape.hidden) if shape.positions else None
        self.token_type_embeddings = nn.Embedding(shape.token_types, shape.hidden) if shape.token_types else None
        self.LayerNorm = nn.LayerNorm(shape.hidden, eps=shape.layer_norm_eps)

    def forward(self, ids: Tensor, type_ids: Tensor, spans: Spans) -> Tensor:
        x = self.word_embeddings(ids)  # (tokens, hidden)
        if self.token_type_embeddings is not None:
            x = x + self.token_type_embeddings(type_ids)
        if self.position_embeddings is not None:
            places = torch.cat([torch.arange(end - start, device=ids.device) for start, end in spans])
            x = x + self.position_embeddings(places + self.first_position)
        normed: Tensor = self.LayerNorm(x)
        return normed


class Layer(nn.Module):
    """Post-norm: each block's output is added to its input and the sum normalised.

    `positions` is whatever `attention` takes to tell near from far.
    """

    def __init__(self, shape: Shape, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.gated = shape.family == "jinabert"
        hidden, wide, eps = shape.hidden, shape.intermediate, shape.layer_norm_eps
        if self.gated:
            self.mlp = GatedFeedForward(hidden, wide, eps)
        else:
            self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, wide)})
            self.output = nn.ModuleDict({"dense": nn.Linear(wide, hidden), "LayerNorm": nn.LayerNorm(hidden, eps=eps)})

    def forward(self, x: Tensor, spans: Spans, positions: Tensor | None) -> Tensor:
        x = self.attention(x, x, spans, spans, positions)  # (tokens, hidden)
        return torch.cat([self.feed_forward(rows) for rows in torch.split(x, ROWS_AT_ONCE)])

    def first_token(self, x: Tensor, spans: Spans, positions: Tensor | None) -> Tensor:
        """This layer's output for each sequence's first token alone, (sequences, hidden).

        Exact, for nothing after the last layer looks at other tokens: keys and values of all of them, query
        and feed-forward of one.
        """
        first = x[[start for start, _ in spans]]  # (sequences, hidden)
        ones = [(i, i + 1) for i in range(len(spans))]
        return self.feed_forward(self.attention(first, x, ones, spans, positions))

    def feed_forward(self, x: Tensor) -> Tensor:
        if self.gated:
            gated: Tensor = self.mlp(x)
            return gated
        up = F.gelu(self.intermediate["dense"](x))  # (rows, intermediate)
        normed: Tensor = self.output["LayerNorm"](self.output["dense"](up) + x)
        return normed


class GatedFeedForward(nn.Module):
    """GEGLU: the first half of the projection up, through GELU, scales the second."""

    def __init__(self, hidden: int, intermediate: int, eps: float) -> None:
        super().__init__()
        self.gated_layers = nn.Linear(hidden, 2 * intermediate, bias=False)
        self.wo = nn.Linear(intermediate, hidden)
        self.layernorm = nn.LayerNorm(hidden, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gated_layers(x).chunk(2, dim=-1)  # (rows, intermediate) each
        normed: Tensor = self.layernorm(self.wo(F.gelu(gate) * up) + x)
        return normed


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        hidden = shape.hidden
        self.self = nn.ModuleDict({name: nn.Linear(hidden, hidden) for name in ("query", "key", "value")})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(hidden, hidden), "LayerNorm": nn.LayerNorm(hidden, eps=shape.layer_norm_eps)}
        )

    def forward(self, x: Tensor, context: Tensor, x_spans: Spans, context_spans: Spans, bias: Tensor | None) -> Tensor:
        """Rows of `x` (rows, hidden), the first ones of their sequences, look at all of `context` (tokens, hidden)."""
        q, k, v = (
            self.self[name](rows).unflatten(-1, (self.heads, -1)).transpose(0, 1)  # (heads, rows, head_dim)
            for name, rows in (("query", x), ("key", context), ("value", context))
        )
        if bias is not None:
            k, v = k.flip(1), v.flip(1)
            tokens = context_spans[-1][1]
            context_spans = [(tokens - end, tokens - start) for start, end in context_spans]
        attended = [
            attend(q[:, rows], k[:, keys], v[:, keys], bias)  # (rows, hidden)
            for rows, keys in zip(
                (slice(*span) for span in x_spans), (slice(*span) for span in context_spans), strict=True
            )
        ]
        normed: Tensor = self.output["LayerNorm"](self.output["dense"](torch.cat(attended)) + x)
        return normed
