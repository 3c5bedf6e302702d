"""Attention of one sequence, with or without symmetric ALiBi: -slope * |i - j| on the score of query i and key j.

Long sequences never form the whole matrix of scores, and ALiBi's heads look no further than their slope lets them.

Press et al., ALiBi (arXiv:2108.12409); Günther et al., Jina Embeddings 2 (arXiv:2310.19923) for the symmetric form.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from inference_container.alibi import slopes

SCORE_BYTES = 256 * 2**20
"""Bound on one block of fp32 attention scores, for kernels that do form them: 8,192 tokens squared over 12
heads would be 3.2 GB. Kernels that never form them lose nothing by it."""

LONG = 1024
"""Tokens from which on ALiBi heads attend one by one, each only as far as it can see. How far depends on the
weights; at 8,192 tokens attention takes a half to a third of the time where half of the heads see 1,000 tokens."""

ROWS_NEAR = 512
"""Queries in a block that looks at a part of the keys: few, for the keys near any of them are all looked at."""


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
