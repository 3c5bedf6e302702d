"""Requests as arrays: when each comes, how long its documents are, and how much work they make."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rerank_toolkit.catalog.shapes import Shape, flops

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


MOST_TABLED = 2**16


class Drawn(Protocol):
    """Requests without their times."""

    @property
    def documents(self) -> NDArray[Any]:
        """(requests,): how many each has."""

    @property
    def tokens(self) -> NDArray[Any]:
        """(documents of all requests,)"""


class Demand(Protocol):
    """What a simulation asks of a workload."""

    @property
    def hourly_rates(self) -> Array:
        """(168,): mean requests a second in each hour of the week."""

    @property
    def dispersion(self) -> float:
        """Variance over mean of the arrivals in a minute; 1 is Poisson."""

    def draw(self, rng: np.random.Generator, count: int) -> Drawn: ...

    def arrivals(self, rng: np.random.Generator, seconds: float, rate: float | None = None) -> Array:
        """Seconds of arrivals, sorted."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Requests by arrival, their documents adjacent."""

    arrivals: Array
    """(n,), seconds, sorted."""
    offsets: Counts
    """(n + 1,): where each request's documents begin."""
    tokens: Counts
    """(documents,), at least 1 each."""
    work: Array
    """(documents,), proportional to compute."""

    @cached_property
    def request_of_document(self) -> Counts:
        return np.repeat(np.arange(len(self.arrivals)), np.diff(self.offsets))

    @cached_property
    def longest_first(self) -> Counts:
        """(documents,): each request's documents in the order in which the policy takes them; equals as they came."""
        longest = int(self.tokens.max(initial=0))
        return np.argsort(self.request_of_document * (longest + 1) - self.tokens, kind="stable")

    @cached_property
    def tokens_of_request(self) -> Counts:
        return np.add.reduceat(self.tokens, self.offsets[:-1])

    def at(self, arrivals: Array) -> Traffic:
        """The same requests at other times."""
        return Traffic(arrivals=arrivals, offsets=self.offsets, tokens=self.tokens, work=self.work)


def draw_traffic(
    demand: Demand,
    rng: np.random.Generator,
    arrivals: Array,
    *,
    max_tokens: float = math.inf,
    work: Callable[[Counts], Array] | None = None,
) -> Traffic:
    """The requests that come at `arrivals`, of which a model reads at most `max_tokens` of each document.

    work: of documents of so many tokens; proportional to them without.
    """
    drawn = demand.draw(rng, len(arrivals))
    tokens = np.clip(np.rint(drawn.tokens), 1, max_tokens).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(drawn.documents, dtype=np.int64)])
    return Traffic(
        arrivals=arrivals,
        offsets=offsets,
        tokens=tokens,
        work=tokens.astype(float) if work is None else work(tokens),
    )


def work_of(shape: Shape) -> Callable[[Counts], Array]:
    """FLOPs of documents by their tokens, which is what the container counts as work."""

    def work(tokens: Counts) -> Array:
        longest = int(tokens.max(initial=1))
        if longest > MOST_TABLED:
            return np.array([flops(shape, int(length)) for length in tokens], dtype=float)
        return _flops_by_length(shape, 1 << longest.bit_length())[tokens]

    return work


@cache
def _flops_by_length(shape: Shape, lengths: int) -> Array:
    return np.array([flops(shape, length) for length in range(lengths)], dtype=float)
