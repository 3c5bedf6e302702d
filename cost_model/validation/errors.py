"""How far predictions are off."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Self

import msgspec


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Of several predictions: predicted over observed, minus 1."""

    count: int
    median: float
    """Of the absolute errors."""
    worst: float
    """With its sign."""
    bias: float
    """Median of the errors with their signs."""

    @classmethod
    def of(cls, errors: Sequence[float]) -> Self:
        """Raises ValueError without any."""
        if not errors:
            raise ValueError("no predictions to judge")
        return cls(
            count=len(errors),
            median=statistics.median(map(abs, errors)),
            worst=max(errors, key=abs),
            bias=statistics.median(errors),
        )
