"""DeBERTa's distances: near ones each have an embedding of their own, far ones share them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rerank_toolkit.catalog.shapes import DEBERTA_DISTANCES


def distance_buckets(longest: int, rows: int) -> NDArray[np.int64]:
    """The row of a table of `rows` embeddings for each distance -(longest - 1) to longest - 1: (2 * longest - 1,).

    Row rows / 2 is distance 0. Up to a quarter of the rows each way are single distances, then steps grow with the
    logarithm, so that DEBERTA_DISTANCES - 1 is the last. He et al., DeBERTaV3 (arXiv:2111.09543), as implemented for
    its checkpoints.
    """
    span, near = rows // 2, rows // 4
    distance = np.arange(1 - longest, longest)
    # In fp32, as the checkpoints were trained: float64 puts some distances into the neighbouring bucket.
    far = np.maximum(np.abs(distance), near).astype(np.float32)
    steps = np.log(far / np.float32(near)) / np.log(np.float32((DEBERTA_DISTANCES - 1) / near)) * np.float32(near - 1)
    logarithmic = np.sign(distance) * (np.ceil(steps).astype(np.int64) + near)
    buckets = np.where(np.abs(distance) <= near, distance, logarithmic)
    clipped: NDArray[np.int64] = np.clip(buckets + span, 0, rows - 1)
    return clipped
