"""How many documents are answered within a time, read off the measured grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from rerank_toolkit.contracts.profile import Cell

Point = tuple[float, float]


def documents_within(cells: Sequence[Cell], *, tokens_per_document: float, milliseconds: float) -> float:
    """Largest request of documents of this length that one caller alone gets answered in time.

    Linear interpolation of the median latency, first in tokens among cells of as many documents, then in
    documents; latencies are taken as non-decreasing in documents. Where even one document takes longer, the
    part of it that the time allows, in proportion. Beyond the largest request measured, the line through the
    last two is followed.
    """
    points = [
        (float(documents), latency)
        for documents in sorted({cell.documents for cell in cells})
        if (latency := _latency(cells, documents, tokens_per_document)) is not None
    ]
    rising = list(accumulate((latency for _, latency in points), max))
    points = [(documents, latency) for (documents, _), latency in zip(points, rising, strict=True)]
    first_documents, first_latency = points[0]
    if milliseconds <= first_latency or len(points) == 1:
        return first_documents * milliseconds / first_latency
    for left, right in pairwise(points):
        if left[1] <= milliseconds < right[1]:
            return _line(left, right, milliseconds)
    left, right = points[-2:]
    if right[1] <= left[1]:
        return right[0] * milliseconds / right[1]
    return _line(left, right, milliseconds)


def _latency(cells: Sequence[Cell], documents: int, tokens: float) -> float | None:
    """Of `documents` documents of `tokens` each; None where the cells measured don't reach that far.

    The fewest documents are followed beyond their cells instead: without them there would be no answer.
    """
    points = sorted((cell.tokens_per_document, cell.latency_ms) for cell in cells if cell.documents == documents)
    for left, right in pairwise(points):
        if left[0] <= tokens <= right[0]:
            return left[1] + (right[1] - left[1]) * (tokens - left[0]) / (right[0] - left[0])
    if documents > min(cell.documents for cell in cells):
        return None
    nearest = points[0] if tokens < points[0][0] else points[-1]
    return nearest[1] * max(1.0, tokens / nearest[0])


def _line(left: Point, right: Point, milliseconds: float) -> float:
    """Documents at `milliseconds` on the line through two points of (documents, milliseconds)."""
    return left[0] + (right[0] - left[0]) * (milliseconds - left[1]) / (right[1] - left[1])
