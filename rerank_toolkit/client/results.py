"""What a caller gets back."""

from __future__ import annotations

import msgspec

from rerank_toolkit.contracts.wire import Origin, Usage


class RankedDocument(msgspec.Struct, frozen=True):
    """One document of the request and how well it answers the query."""

    index: int
    """Position in the list of documents that was sent."""
    relevance_score: float
    """Between 0 and 1; comparable across requests to the same model."""
    document: str | None = None
    """Its text, where it was asked for."""


class RerankResult(msgspec.Struct, frozen=True, kw_only=True):
    """A ranked list, best first."""

    results: tuple[RankedDocument, ...]
    usage: Usage
    model: str
    origin: Origin | None
    """How the answer was made; None where the endpoint doesn't run this project's container."""
