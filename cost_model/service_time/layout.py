"""How the container's policy cuts a request into batches when it has all engines to itself.

What `rerank_toolkit.scheduling` does with one request of equally long documents, in arithmetic: a law is fitted to
dozens of cells and asked for hundreds of options, and the policy itself would take too long for that.
"""

from __future__ import annotations

import heapq
import math
from functools import lru_cache

import msgspec

from rerank_toolkit.scheduling import SMALLEST_SHARE

PASS_TOKENS = 60
"""What a batch costs an engine besides its tokens, in tokens: only who is free next depends on it."""


class Layout(msgspec.Struct, frozen=True):
    """Batches and documents; those of the engine that is busy longest decide when the request is answered."""

    batches: int
    """Of all engines."""
    longest_batches: int
    longest_documents: int


@lru_cache(maxsize=4096)
def lay_out(documents: int, tokens: float, *, engines: int, token_budget: int, spread: float = 0.0) -> Layout:
    """`documents` of `tokens` each, alone on a server: what is queued is shared out between the engines, each batch
    being a share of what is left, at most the budget.

    `spread` is by how many tokens documents differ that are meant to be alike: the longest go first, so a share may be
    full with one fewer.
    """
    full = max(1, int(token_budget // tokens))
    # While there is plenty for all, every batch is a full one, and the engines go in step.
    plenty = documents * tokens - 2 * engines * max(token_budget, tokens)
    rounds = max(0, int(plenty // (engines * full * tokens)))
    left = documents - rounds * engines * full
    batches, taken = [rounds] * engines, [rounds * full] * engines
    free = [(0.0, engine) for engine in range(engines)]
    ends = [0.0] * engines
    while left:
        at, engine = heapq.heappop(free)
        share = max(SMALLEST_SHARE, left * tokens / engines)
        count = min(left, full, math.ceil(share / (tokens + spread) - 1e-9))
        left -= count
        batches[engine] += 1
        taken[engine] += count
        ends[engine] = at + count * tokens + PASS_TOKENS
        heapq.heappush(free, (ends[engine], engine))
    longest = max(range(engines), key=lambda engine: ends[engine])
    return Layout(sum(batches), batches[longest], taken[longest])
