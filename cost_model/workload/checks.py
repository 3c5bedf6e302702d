"""What several structs of a workload check of themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec


def endless(struct: msgspec.Struct) -> list[str]:
    """Its numbers that are infinite or none, which TOML and JSON's floats can be and no bound of a field refuses."""
    values = [(name, getattr(struct, name)) for name in struct.__struct_fields__]
    found = [name for name, value in values if isinstance(value, float) and not math.isfinite(value)]
    found += [name for name, value in values if isinstance(value, Decimal) and not value.is_finite()]
    return [f"{name} is {getattr(struct, name)}; expected a finite number" for name in found]


def refuse(problems: Sequence[str]) -> None:
    """Raises ValueError that tells all the problems, if there are any."""
    if problems:
        raise ValueError("; ".join(problems))
