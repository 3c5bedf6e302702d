"""How the container's policy lays out a request that has all engines to itself.

What `rerank_toolkit.scheduling` does with one request in an empty queue, in arithmetic: what is queued is shared out
between the engines, the longest documents first. Many engines have few documents each, so that no batch is like another
and the longest document may take as long as all the others do: what matters is how lengths are spread, and not only
their mean.
"""

from __future__ import annotations

import heapq
from functools import lru_cache

import msgspec

from cost_model.service_time.passes import PASS_COST, Load, load_of
from rerank_toolkit.scheduling import SMALLEST_SHARE


class Layout(msgspec.Struct, frozen=True):
    loads: tuple[Load, ...]
    """Of each engine that has any; the last that has done decides when the request is answered."""
    longest: Load
    """Of the one that has done last, by tokens."""
    batches: int
    """Of all engines."""

    @property
    def together(self) -> Load:
        """Of all engines."""
        return Load.sum(self.loads)


@lru_cache(maxsize=4096)
def lay_out(lengths: tuple[float, ...], *, engines: int, token_budget: int, padded: bool) -> Layout:
    """Documents of so many tokens, the longest first, alone on a server.

    An engine that is free takes a share of what is left, at most the budget. Who is free next goes by tokens, a pass
    counting as PASS_COST of them.
    """
    free = [(0.0, engine) for engine in range(engines)]
    loads = [Load()] * engines
    queued, batches, end = sum(lengths), 0, 0
    while end < len(lengths):
        enough = max(SMALLEST_SHARE, queued / engines)
        begin, tokens = end, 0.0
        for length in lengths[begin:]:
            if tokens and (tokens >= enough or tokens + length > token_budget):
                break
            tokens += length
            end += 1
        queued -= tokens
        batches += 1
        load = load_of(reversed(lengths[begin:end]), padded=padded)
        at, engine = free[0]
        loads[engine] = loads[engine].plus(load)
        heapq.heapreplace(free, (at + load.tokens + PASS_COST * load.passes, engine))
    _, last = max(free)
    return Layout(tuple(load for load in loads if load.passes), loads[last], batches)
