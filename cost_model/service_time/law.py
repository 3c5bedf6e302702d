"""The law of batches, by least squares from a profile's cells.

    seconds = a · passes + b · sequences + c · tokens + d · sum of squared tokens

on one engine, with non-negative coefficients: a pass, a sequence, a token and a pair of tokens each cost something or
nothing. Tokens are those that the engine computes, padding among them (`passes`). A measured request is as long as the
batches of its busiest engine, which the container's policy tells (`layout`).

Short documents alone don't tell what a pair of tokens costs: among them it can't be told from a token. Then c and d
are one coefficient, in the proportion of their FLOPs, a FLOP of attention taking ATTENTION times as long as another.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING

import msgspec

from cost_model.service_time.layout import lay_out
from cost_model.service_time.passes import Load
from rerank_toolkit.catalog.shapes import Shape, flops_terms
from rerank_toolkit.contracts.profile import Cell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TERMS = 4

TELLING_TOKENS = 300
"""Of the longest measured document: below, attention is too small a part of the time to be fitted apart."""

ATTENTION = 2.0
ATTENTION_BY_POSITION = 7.5
"""Time of a FLOP of attention over that of another: 1.8 to 2.4 in the laws of our own profiles, and 7.5 and 7.8 in
those of DeBERTa, whose relative positions cost by the pair what its FLOPs count by the token."""


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of an engine while all of them work, and the seconds around a request that no faster processor takes
    away."""

    per_pass: float
    per_sequence: float
    per_token: float
    per_squared_token: float
    around_per_request: float
    """Transport, parsing, tokenising: what the caller waited beyond queue and compute."""
    around_per_token: float
    error: float
    """Root mean square of the relative residuals of a request's compute seconds, over the profile's cells."""
    padded: bool
    """Whether the engine pads the documents of a pass to the longest of them, as OpenVINO does."""

    def seconds(self, load: Load) -> float:
        """Of one engine."""
        return (
            self.per_pass * load.passes
            + self.per_sequence * load.sequences
            + self.per_token * load.tokens
            + self.per_squared_token * load.squared_tokens
        )

    def around_seconds(self, tokens: float) -> float:
        """Of a request of so many tokens, beyond queue and compute."""
        return self.around_per_request + self.around_per_token * tokens

    def request_seconds(self, cell: Cell, *, engines: int, token_budget: int) -> float:
        """Compute seconds of the cell's request, alone on the server."""
        return self.seconds(_load(cell, engines, token_budget, padded=self.padded))


def fit(cells: Sequence[Cell], *, shape: Shape, engines: int, token_budget: int, padded: bool) -> Law:
    """The law through the cells of a server with so many engines, by non-negative least squares on relative residuals.

    Relative, because a profile spans milliseconds to minutes and the short requests matter as much. Raises
    ValueError with fewer cells than terms.
    """
    import numpy as np  # noqa: PLC0415  # the commands that only price start without it

    if len(cells) < TERMS:
        raise ValueError(f"has {len(cells)} cells; a law of {TERMS} terms needs at least {TERMS}")
    terms = _terms(cells, shape)
    features = np.array([_load(cell, engines, token_budget, padded=padded) for cell in cells]) @ terms
    found, residuals = solve(features, np.array([cell.inference_ms / 1000 for cell in cells]))
    compute = terms @ found
    around, _ = solve(
        np.array([[1.0, cell.tokens] for cell in cells]),
        np.array([max(cell.latency_ms - cell.inference_ms - cell.queue_ms, 0.01) / 1000 for cell in cells]),
    )
    return Law(
        per_pass=float(compute[0]),
        per_sequence=float(compute[1]),
        per_token=float(compute[2]),
        per_squared_token=float(compute[3]),
        around_per_request=float(around[0]),
        around_per_token=float(around[1]),
        error=float(np.sqrt(np.mean(residuals**2))),
        padded=padded,
    )


def cross_errors(cells: Sequence[Cell], *, shape: Shape, engines: int, token_budget: int, padded: bool) -> list[float]:
    """Relative errors of the cells' seconds, each by the law of all others. Raises ValueError as `fit`."""
    errors = []
    for left_out in cells:
        others = [cell for cell in cells if cell is not left_out]
        law = fit(others, shape=shape, engines=engines, token_budget=token_budget, padded=padded)
        predicted = law.request_seconds(left_out, engines=engines, token_budget=token_budget)
        errors.append(predicted / (left_out.inference_ms / 1000) - 1)
    return errors


def _terms(cells: Sequence[Cell], shape: Shape) -> NDArray[np.float64]:
    """From a load (4, terms) to what the cells can tell apart."""
    import numpy as np  # noqa: PLC0415

    if max(cell.tokens_per_document for cell in cells) >= TELLING_TOKENS:
        return np.eye(TERMS)
    of_token, of_square = flops_terms(shape, statistics.mean(cell.tokens_per_document for cell in cells))
    tied = np.zeros((TERMS, TERMS - 1))
    tied[0, 0] = tied[1, 1] = tied[2, 2] = 1.0
    attention = ATTENTION_BY_POSITION if shape.relative_positions else ATTENTION
    tied[3, 2] = attention * of_square / of_token
    return tied


def solve(
    features: NDArray[np.float64], seconds: NDArray[np.float64], known: NDArray[np.float64] | float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Non-negative coefficients (terms,) of `features` (cells, terms) that with `known` seconds (cells,) come nearest
    to `seconds` (cells,), and the relative residuals (cells,).

    The optimum is the least squares solution of the terms that aren't zero. Which these are is found by trying: for
    four terms that takes a tenth of the time that importing an optimiser does.
    """
    import numpy as np  # noqa: PLC0415

    weighted = features / seconds[:, None]
    target = np.ones(len(seconds)) - known / seconds
    scale = np.abs(weighted).max(axis=0)
    scale[scale == 0] = 1.0
    weighted = weighted / scale
    terms = range(weighted.shape[1])
    best, least = np.zeros(len(terms)), float(target @ target)
    for chosen in (list(some) for count in terms for some in combinations(terms, count + 1)):
        found, *_ = np.linalg.lstsq(weighted[:, chosen], target, rcond=None)
        residuals = weighted[:, chosen] @ found - target
        if (found >= 0).all() and (squares := float(residuals @ residuals)) < least:
            least = squares
            best = np.zeros(len(terms))
            best[chosen] = found
    return best / scale, weighted @ best - target


def _load(cell: Cell, engines: int, token_budget: int, *, padded: bool) -> Load:
    """Of the engine that is busy longest with the cell's request."""
    return lay_out(_lengths(cell), engines=engines, token_budget=token_budget, padded=padded).longest


def _lengths(cell: Cell) -> tuple[float, ...]:
    """Tokens of each document, the longest first, as far as a cell tells: documents that were meant to be alike, as
    normally spread about their mean as their sum of squares says."""
    mean = cell.tokens / cell.documents
    deviation = math.sqrt(max(cell.sum_squared_tokens / cell.documents - mean * mean, 0.0))
    return tuple(max(1.0, round(mean + deviation * place)) for place in _normal_places(cell.documents))


@lru_cache(maxsize=64)
def _normal_places(count: int) -> tuple[float, ...]:
    """So many values of mean 0 and deviation 1, normally spread, the greatest first."""
    normal = NormalDist()
    values = [normal.inv_cdf((at + 0.5) / count) for at in reversed(range(count))]
    deviation = math.sqrt(sum(value * value for value in values) / count) or 1.0
    return tuple(value / deviation for value in values)
