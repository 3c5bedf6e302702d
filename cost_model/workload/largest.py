"""How large a workload's largest requests are, which is what an endpoint's limit is for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from cost_model.workload.arrivals import Arrivals

if TYPE_CHECKING:
    from cost_model.workload.workload import Workload

MOST_DRAWN = 10_000
"""Requests of which the largest is taken."""

MOST_PAIRS = 1_000_000
"""Of those requests together."""

SEED = 0


@lru_cache(maxsize=1024)
def largest_request_bytes(workload: Workload) -> float:
    """The largest of a sample, where there was one; else of ten thousand requests, or fewer where they are very large,
    that are drawn as the workload says."""
    if workload.largest_bytes is not None:
        return workload.largest_bytes
    return _drawn_tokens(_requests_alone(workload)) * workload.bytes_per_token


def _requests_alone(workload: Workload) -> Workload:
    """What its requests are drawn from, however often they come."""
    return msgspec.structs.replace(workload, requests_per_second=1.0, traffic=Arrivals(), growth=None, month=0)


@lru_cache(maxsize=64)
def _drawn_tokens(workload: Workload) -> float:
    import numpy as np  # noqa: PLC0415  # the commands that only price start without it

    count = max(1, min(MOST_DRAWN, int(MOST_PAIRS / workload.documents_per_request)))
    drawn = workload.draw(np.random.default_rng(SEED), count)
    return float(np.add.reduceat(drawn.tokens, drawn.offsets[:-1]).max())
