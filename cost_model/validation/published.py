"""Published throughput and latency of encoders on known hardware: benchmarks.csv, typed.

A row is predicted if it states its batch, its length and its hardware; the others are context, and say what they lack.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import msgspec

TABLE = Path(__file__).with_name("benchmarks.csv")


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One published figure."""

    model: str
    hardware: str
    runtime: str
    batch: int | None = None
    seq_len: int | None = None
    metric: str
    value: float
    source: str
    as_of: str
    note: str = ""

    @property
    def lacks(self) -> list[str]:
        """What it would have to state to be predicted."""
        missing = [name for name, value in (("batch", self.batch), ("length", self.seq_len)) if value is None]
        return missing + (["hardware"] if self.hardware == "n/a" else [])

    @property
    def seconds(self) -> float:
        """Of one batch, for a row that states it."""
        match self.metric:
            case "seq_per_s" if self.batch:
                return self.batch / self.value
            case "p95_ms":
                return self.value / 1e3
        raise ValueError(f"{self.metric} of {self.model} on {self.hardware} is no time of a batch")


@cache
def load_published() -> tuple[Published, ...]:
    """All rows, in the table's order."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    return tuple(msgspec.convert(row, Published, strict=False) for row in rows)
