"""BERT and JinaBERT cross-encoders over ragged batches: no padding anywhere.

One file for both, because they differ in two places only:

              positions                               feed-forward
    BERT      a learned table, added to the input     up, GELU, down
    JinaBERT  symmetric ALiBi, added to the scores    GEGLU: GELU(gate) * up, down

Modules are named as the published tensors are, so a checkpoint loads by name. The forward pass is plain
differentiable torch: engines wrap it in inference mode, training does not have to.

Devlin et al., BERT (arXiv:1810.04805); Günther et al., Jina Embeddings 2 (arXiv:2310.19923) for symmetric
ALiBi; Press et al., ALiBi (arXiv:2108.12409) for the slopes; Shazeer, GLU Variants (arXiv:2002.05202).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rerank_toolkit.catalog.shapes import Shape

ROWS_AT_ONCE = 1024
"""Tokens that pass through a feed-forward block together: bounds its activations, the widest of all."""

SCORE_BYTES = 256 * 2**20
"""Bound on one block of fp32 attention scores, for kernels that do form them: 8,192 tokens squared over 12
heads would be 3.2 GB. Kernels that never form them lose nothing by it."""


LONG = 1024
"""Tokens from which on ALiBi heads attend one by one, each only as far as it can see. How far depends on the
weights; at 8,192 tokens attention takes a half to a third of the time where half of the heads see 1,000 tokens."""

ROWS_NEAR = 512
"""Queries in a block that looks at a part of the keys: few, for the keys near any of them are all looked at."""


class CrossEncoder(nn.Module):
    """A BERT or JinaBERT encoder with pooler and classifier: pairs in, logits out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.bert = Encoder(shape)
        self.classifier = nn.Linear(shape.hidden, shape.labels)

    def forward(self, ids: Tensor, type_ids: Tensor, offsets: list[int]) -> Tensor:
        """Logits (sequences, labels), fp32, of `ids` and `type_ids`, both (tokens,).

        `offsets` has sequences + 1 entries; sequence i is `ids[offsets[i]:offsets[i + 1]]`, [CLS] first.
        """
        pooled = self.bert(ids, type_ids, offsets)  # (sequences, hidden)
        logits: Tensor = self.classifier(pooled)  # (sequences, labels)
        return logits

    def convert(self, dtype: torch.dtype) -> CrossEncoder:
        """Layers in `dtype`, the head in fp32: it is a few rows only, and a bf16 logit near 9 has steps of 1/16."""
        self.to(dtype)
        self.bert.pooler.float()
        self.classifier.float()
        return self


class Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.alibi = shape.family == "jinabert"
        self.embeddings = Embeddings(shape)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(shape) for _ in range(shape.layers))})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(shape.hidden, shape.hidden)})

    def forward(self, ids: Tensor, type_ids: Tensor, offsets: list[int]) -> Tensor:
        spans = list(pairwise(offsets))
        x = self.embeddings(ids, type_ids, spans)  # (tokens, hidden)
        bias = distance_bias(self.heads, max(end - start for start, end in spans), x) if self.alibi else None
        *layers, last = cast(Iterable[Layer], self.encoder["layer"])
        for layer in layers:
            x = layer(x, spans, bias)  # (tokens, hidden)
        cls = last.first_token(x, spans, bias)  # (sequences, hidden)
        return torch.tanh(self.pooler["dense"](cls.float()))


class Embeddings(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocabulary, shape.hidden)
        self.position_embeddings = nn.Embedding(shape.positions, shape.hidden) if shape.positions else None
        self.token_type_embeddings = nn.Embedding(shape.token_types, shape.hidden)
        self.LayerNorm = nn.LayerNorm(shape.hidden, eps=shape.layer_norm_eps)

    def forward(self, ids: Tensor, type_ids: Tensor, spans: list[tuple[int, int]]) -> Tensor:
        x = self.word_embeddings(ids) + self.token_type_embeddings(type_ids)  # (tokens, hidden)
        if self.position_embeddings is not None:
            positions = torch.cat([torch.arange(end - start, device=ids.device) for start, end in spans])
            x = x + self.position_embeddings(positions)
        normed: Tensor = self.LayerNorm(x)
        return normed


class Layer(nn.Module):
    """Post-norm: each block's output is added to its input and the sum normalised."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.gated = shape.family == "jinabert"
        hidden, wide, eps = shape.hidden, shape.intermediate, shape.layer_norm_eps
        if self.gated:
            self.mlp = GatedFeedForward(hidden, wide, eps)
        else:
            self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, wide)})
            self.output = nn.ModuleDict({"dense": nn.Linear(wide, hidden), "LayerNorm": nn.LayerNorm(hidden, eps=eps)})

    def forward(self, x: Tensor, spans: list[tuple[int, int]], bias: Tensor | None) -> Tensor:
        x = self.attention(x, x, spans, spans, bias)  # (tokens, hidden)
        return torch.cat([self.feed_forward(rows) for rows in torch.split(x, ROWS_AT_ONCE)])

    def first_token(self, x: Tensor, spans: list[tuple[int, int]], bias: Tensor | None) -> Tensor:
        """This layer's output for each sequence's [CLS] alone, (sequences, hidden).

        Exact, for nothing after the last layer looks at other tokens: keys and values of all of them, query
        and feed-forward of one.
        """
        cls = x[[start for start, _ in spans]]  # (sequences, hidden)
        ones = [(i, i + 1) for i in range(len(spans))]
        return self.feed_forward(self.attention(cls, x, ones, spans, bias))

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

    def forward(
        self,
        x: Tensor,
        context: Tensor,
        x_spans: list[tuple[int, int]],
        context_spans: list[tuple[int, int]],
        bias: Tensor | None,
    ) -> Tensor:
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


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Attention of one sequence, (rows, hidden), from q, k, v, each (heads, rows or length, head_dim).

    With a `bias` of distances, k and v are in reverse order: see distance_bias.
    """
    heads, rows, length = *q.shape[:2], k.shape[1]
    if bias is None or length < LONG or rows < length:
        return attend_near(q, k, v, bias, length)
    each = [slice(head, head + 1) for head in range(heads)]
    reaches = reach(q, k).tolist()
    return torch.cat([attend_near(q[h], k[h], v[h], bias[h], r) for h, r in zip(each, reaches, strict=True)], dim=1)


def reach(q: Tensor, k: Tensor) -> Tensor:
    """Distance within which each head has all but 2^-24 of its weight, whatever the query: (heads,), at most length.

    q and k are (heads, length, head_dim), k in reverse order. By Cauchy-Schwarz no scaled score of query i is beyond
    |q_i| * max |k|. So a key at distance d weighs at most e^(excess - slope * d) of what the query's own place does,
    where excess is that bound less the score of its own place. With the distance below, all keys beyond it
    together weigh less than half a unit in fp32's last place.
    """
    heads, length, size = k.shape
    bound = q.norm(dim=-1) * k.norm(dim=-1).amax(-1, keepdim=True)  # (heads, length)
    own = (q * k.flip(1)).sum(-1)  # (heads, length)
    excess = (bound - own).amax(-1) / math.sqrt(size)  # (heads,)
    slope = torch.tensor(slopes(heads), device=q.device)
    distance = (excess + math.log(length * 2**24)) / slope
    return torch.where(distance < length, distance.ceil(), length).int()  # NaN isn't less: it shows in the scores


def attend_near(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, distance: int) -> Tensor:
    """As attend, in blocks of rows, each looking at keys no further than `distance` from one of them."""
    (heads, rows), length = q.shape[:2], k.shape[1]
    block = ROWS_NEAR if distance < length else max(1, SCORE_BYTES // (4 * heads * length))
    out = []
    for start in range(0, rows, block):
        stop = min(start + block, rows)
        near = slice(max(0, length - stop - distance), length - start + distance)
        mask = None if bias is None else bias_rows(bias, start, stop - start, length)[..., near]
        attended = F.scaled_dot_product_attention(q[None, :, start:stop], k[None, :, near], v[None, :, near], mask)
        out.append(attended[0].transpose(0, 1).flatten(1))  # (rows, hidden)
    return torch.cat(out)


def slopes(heads: int) -> list[float]:
    """ALiBi's slope of each head (Press et al.).

    For a power of two a geometric sequence from 2^(-8/heads) to 2^-8. Otherwise that of the next lower power,
    then every second one of twice that power.
    """
    power = 2 ** int(math.log2(heads))
    own = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
    return own if power == heads else own + slopes(2 * power)[::2][: heads - power]


def distance_bias(heads: int, longest: int, like: Tensor) -> Tensor:
    """-slope * |distance| of each head at distances -(longest - 1) to longest - 1: (heads, 2 * longest - 1).

    The matrix of a sequence, -slope * |i - j| for query i and key j, has the same row in every line, moved by
    one. With the keys in reverse order (key n - 1 - j at j, which changes no sum over keys) line i starts at
    entry i of this table, so that `bias_rows` can show all n * n entries as a view of 2 * n - 1 numbers.
    """
    # CPU kernels take fp32 beside bf16 queries, which keeps far distances apart; CUDA's want one dtype.
    dtype = torch.float32 if like.device.type == "cpu" else like.dtype
    distance = torch.arange(1 - longest, longest, device=like.device, dtype=torch.float32).abs()
    slope = torch.tensor(slopes(heads), device=like.device)
    return (-slope[:, None] * distance).to(dtype)


def bias_rows(bias: Tensor, start: int, rows: int, length: int) -> Tensor:
    """Lines start to start + rows of the bias of a sequence of `length`, keys reversed: (1, heads, rows, length).

    A view: its lines overlap in memory.
    """
    heads, width = bias.shape
    longest = (width + 1) // 2
    first = bias.storage_offset() + longest - length + start
    return bias.as_strided((1, heads, rows, length), (0, width, 1, 1), first)
