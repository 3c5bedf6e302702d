"""Requests drawn from what a workload says of their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_PAIRS = 100_000_000


class Requests(NamedTuple):
    """Request i has the documents offsets[i] to offsets[i + 1]."""

    documents: NDArray[np.int64]
    """(requests,) how many each has."""
    tokens: NDArray[np.int64]
    """(documents.sum(),) of each pair as it is sent; a model reads at most its own maximum of them."""
    offsets: NDArray[np.int64]
    """(requests + 1,)"""
