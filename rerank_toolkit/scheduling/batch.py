"""What an engine computes at once: documents of one request or of several."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slice:
    """The documents of one request that are in a batch, by their position in the request."""

    request: Hashable
    documents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    slices: tuple[Slice, ...]
    tokens: int
    work: float
    again: bool = False
    """Whether its documents were in a batch before whose engine was lost. Then they are all of one request, so that
    a request which brings down engines does so alone."""
