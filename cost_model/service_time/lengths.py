"""How many of a workload's documents are longer than what a model reads, how long the longest are, and how long those
of a request are.

The first two follow from the mean of cut lengths alone, whatever the distribution: E[min(t, M)] grows with M by
P(t > M).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist, fmean

from cost_model.workload import Workload

DRAWN, SEED = 20_000, 0
"""Pairs whose quantiles stand for those of a query and a document together, which have no closed form."""

Requests = tuple[tuple[float, ...], ...]
"""Tokens of each one's documents."""

MOST, LEAST = 5, 3
LAID_OUT = 160
"""Requests that stand for all, and about how many documents they have together."""


def share_longer(workload: Workload, most: float) -> float:
    """P(t > most): the share of the documents that is cut, to within half a token."""
    return workload.length_moments(most + 0.5)[1] - workload.length_moments(most - 0.5)[1]


def length_exceeded_by(workload: Workload, share: float, most: float) -> float:
    """The length that only a `share` of the documents exceeds, at most `most`."""
    if share_longer(workload, most) > share:
        return most
    low, high = 1.0, most
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (middle, high) if share_longer(workload, middle) > share else (low, middle)
    return high


def lengths_at(workload: Workload, shares: Sequence[float], most: float) -> list[float]:
    """The lengths that such shares of the documents stay below, each between 1 and `most`."""
    if workload.tokens is None:
        sigma = math.sqrt(math.log1p(workload.tokens_cv**2))
        if not sigma:
            return [max(1.0, min(workload.tokens_per_document, most))] * len(shares)
        normal = NormalDist(math.log(workload.tokens_per_document) - sigma * sigma / 2, sigma)
        lengths = [math.exp(normal.inv_cdf(share)) for share in shares]
    else:
        import numpy as np  # noqa: PLC0415  # the commands that only price start without it

        drawn = workload.tokens.draw_pairs(np.random.default_rng(SEED), np.ones(DRAWN, dtype=np.int64))
        lengths = np.quantile(drawn, shares).tolist()
    return [max(1.0, min(length, most)) for length in lengths]


def longest_lengths(workload: Workload, documents: int, most: float, requests: int) -> list[float]:
    """Of requests of so many documents the longest, spread as those of drawn requests are, P(max ≤ t) = P(t' ≤ t)^n: at
    the middles of equally likely slices."""
    return lengths_at(workload, _shares_of_longest(documents, requests), most)


@lru_cache(maxsize=64)
def typical_requests(workload: Workload, documents: int, most: float) -> Requests:
    """A few requests of so many documents, the longest first, at most `most` tokens each, that stand for all.

    Their longest documents are `longest_lengths`; the others are at the middles of equally likely slices below that.
    All are as much longer as the mean of all documents asks for.
    """
    requests = max(LEAST, min(MOST, LAID_OUT // documents))
    others = [(at + 0.5) / (documents - 1) for at in reversed(range(documents - 1))]
    shares = [share * at for share in _shares_of_longest(documents, requests) for at in (1.0, *others)]
    lengths = lengths_at(workload, shares, most)
    longer = workload.length_moments(most)[1] / fmean(lengths)
    lengths = [min(length * longer, most) for length in lengths]
    return tuple(tuple(lengths[begin : begin + documents]) for begin in range(0, len(lengths), documents))


def _shares_of_longest(documents: int, requests: int) -> list[float]:
    return [((number + 0.5) / requests) ** (1 / documents) for number in range(requests)]
