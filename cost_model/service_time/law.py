"""The law of a batch, by least squares from a profile's cells.

    seconds = a + b · sequences + c · tokens + d · sum of squared tokens

on one engine, with non-negative coefficients: a batch, a sequence, a token and a pair of tokens each cost something
or nothing. A measured request is as long as the batches of its busiest engine, which the container's policy tells.

Short documents alone don't tell what a pair of tokens costs: among them it can't be told from a token. Then c and d
are one coefficient, in the proportion of their FLOPs, a FLOP of attention taking ATTENTION times as long as another.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import msgspec

from cost_model.service_time.layout import lay_out
from rerank_toolkit.catalog.shapes import Shape, flops_terms
from rerank_toolkit.contracts.profile import Cell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TERMS = 4

TELLING_TOKENS = 300
"""Of the longest measured document: below, attention is too small a part of the time to be fitted apart."""

ATTENTION = 2.0
"""Time of a FLOP of attention over that of another: 1.5 to 2.1 in the laws of our own profiles, more of DeBERTa,
whose relative positions cost by the pair what its FLOPs count by the token."""


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of a batch on one engine while all of them work, and the seconds around a request that no faster
    processor takes away."""

    per_batch: float
    per_sequence: float
    per_token: float
    per_squared_token: float
    around_per_request: float
    """Transport, parsing, tokenising: what the caller waited beyond queue and compute."""
    around_per_token: float
    error: float
    """Root mean square of the relative residuals of a request's compute seconds, over the profile's cells."""

    def batch_seconds(self, sequences: float, tokens: float, squared_tokens: float) -> float:
        return (
            self.per_batch
            + self.per_sequence * sequences
            + self.per_token * tokens
            + self.per_squared_token * squared_tokens
        )

    def request_seconds(self, cell: Cell, *, engines: int, token_budget: int) -> float:
        """Compute seconds of the cell's request, alone on the server."""
        batches, sequences, tokens, squares = _features(cell, engines, token_budget)
        return batches * self.per_batch + self.batch_seconds(sequences, tokens, squares) - self.per_batch


def fit(cells: Sequence[Cell], *, shape: Shape, engines: int, token_budget: int) -> Law:
    """The law through the cells of a server with so many engines, by non-negative least squares on relative residuals.

    Relative, because a profile spans milliseconds to minutes and the short requests matter as much. Raises
    ValueError with fewer cells than terms.
    """
    import numpy as np  # noqa: PLC0415  # the commands that only price start without it

    if len(cells) < TERMS:
        raise ValueError(f"has {len(cells)} cells; a law of {TERMS} terms needs at least {TERMS}")
    terms = _terms(cells, shape)
    features = np.array([_features(cell, engines, token_budget) for cell in cells]) @ terms
    found, residuals = solve(features, np.array([cell.inference_ms / 1000 for cell in cells]))
    compute = terms @ found
    around, _ = solve(
        np.array([[1.0, cell.tokens] for cell in cells]),
        np.array([max(cell.latency_ms - cell.inference_ms - cell.queue_ms, 0.01) / 1000 for cell in cells]),
    )
    return Law(
        per_batch=float(compute[0]),
        per_sequence=float(compute[1]),
        per_token=float(compute[2]),
        per_squared_token=float(compute[3]),
        around_per_request=float(around[0]),
        around_per_token=float(around[1]),
        error=float(np.sqrt(np.mean(residuals**2))),
    )


def cross_errors(cells: Sequence[Cell], *, shape: Shape, engines: int, token_budget: int) -> list[float]:
    """Relative errors of the cells' seconds, each by the law of all others. Raises ValueError as `fit`."""
    errors = []
    for left_out in cells:
        law = fit(
            [cell for cell in cells if cell is not left_out], shape=shape, engines=engines, token_budget=token_budget
        )
        predicted = law.request_seconds(left_out, engines=engines, token_budget=token_budget)
        errors.append(predicted / (left_out.inference_ms / 1000) - 1)
    return errors


def _terms(cells: Sequence[Cell], shape: Shape) -> NDArray[np.float64]:
    """From batches, sequences, tokens and squares (4, terms) to what the cells can tell apart."""
    import numpy as np  # noqa: PLC0415

    if max(cell.tokens_per_document for cell in cells) >= TELLING_TOKENS:
        return np.eye(TERMS)
    of_token, of_square = flops_terms(shape, statistics.mean(cell.tokens_per_document for cell in cells))
    tied = np.zeros((TERMS, TERMS - 1))
    tied[0, 0] = tied[1, 1] = tied[2, 2] = 1.0
    tied[3, 2] = ATTENTION * of_square / of_token
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


def _features(cell: Cell, engines: int, token_budget: int) -> tuple[float, float, float, float]:
    """Batches, sequences, tokens and squared tokens of the engine that is busy longest with the cell's request."""
    mean = cell.tokens / cell.documents
    spread = math.sqrt(max(cell.sum_squared_tokens / cell.documents - mean * mean, 0.0))
    layout = lay_out(cell.documents, mean, engines=engines, token_budget=token_budget, spread=spread)
    share = layout.longest_documents / cell.documents
    return (
        float(layout.longest_batches),
        float(layout.longest_documents),
        cell.tokens * share,
        cell.sum_squared_tokens * share,
    )
