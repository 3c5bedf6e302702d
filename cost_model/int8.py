"""What is known of models in int8: int8.toml, typed. A model without a row is not offered in it."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import msgspec

from rerank_toolkit.catalog.models import Model

TABLE = Path(__file__).with_name("int8.toml")


class Int8(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model_id: str
    spearman: float
    """Rank correlation with fp32, over all pairs of the calibration set."""
    top_1_agreement: float
    source: str
    as_of: date

    @property
    def basis(self) -> str:
        return (
            f"int8 ranks as fp32 with Spearman {self.spearman:.4f}, the same text first in {self.top_1_agreement:.1%} "
            f"({self.source}, {self.as_of})"
        )


@cache
def _table() -> dict[str, Int8]:
    class Table(msgspec.Struct, forbid_unknown_fields=True):
        fidelity: list[Int8] = []

    return {row.model_id: row for row in msgspec.toml.decode(TABLE.read_bytes(), type=Table).fidelity}


def find_int8(model: Model) -> Int8 | None:
    """None where nobody has measured what the model loses by it."""
    return _table().get(model.id)
