"""A CSV file of times: one request a row, or the requests of a period a row as CloudWatch's console exports them.

Read as a stream, in chunks, so that a file may have any number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cost_model.workload.csv_layout import Layout, rows_of
from cost_model.workload.lines import LineFaults, opened
from cost_model.workload.moments import (
    EARLIEST,
    EPOCH,
    LATEST,
    LEAST_CHARACTERS,
    is_number,
    parse_moment,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK_ROWS = 65_536
MOST_PERIODS = 2_000_000


class Timestamps:
    """The times in a file of one request a row; iterating reads it."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        self._layout = layout
        self._least_characters = 1 if layout.unit else LEAST_CHARACTERS
        self.assumed_utc = False
        """Whether a time was read that names no time zone."""

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        """(rows,) seconds since 1970 of each chunk, in the file's order; raises InvalidInput after the last one with
        the faults of all."""
        faults = LineFaults(self._path)
        at = self._layout.time
        with opened(self._path) as file:
            number = 1 + self._layout.first_row
            rows = islice(rows_of(file, self._path), self._layout.first_row, None)
            # Only the cells are kept: lists of a chunk's rows would cost more than reading them.
            while cells := [row[at] if len(row) > at else "" if row else None for row in islice(rows, CHUNK_ROWS)]:
                quick = self._parse_at_once(cells)
                seconds = self._parse_each(cells, number, faults) if quick is None else quick
                number += len(cells)
                if not faults and len(seconds):
                    yield seconds
        faults.refuse()

    def _parse_at_once(self, cells: Sequence[str | None]) -> NDArray[np.float64] | None:
        """What `_parse_each` makes of cells without faults, several times faster; None where one differs."""
        import numpy as np  # noqa: PLC0415  # the commands that only price start without it

        whole = [cell for cell in cells if cell and len(cell) >= self._least_characters]
        if len(whole) < len(cells):
            return None
        unit, assumed = self._layout.unit, False
        try:
            if unit is not None:
                seconds = np.array(whole, dtype=float) * unit
            else:
                moments = [datetime.fromisoformat(cell) for cell in whole]
                assumed = moments[0].tzinfo is None
                epoch = EPOCH.replace(tzinfo=None) if assumed else EPOCH
                seconds = np.array([(moment - epoch).total_seconds() for moment in moments])
        except (ValueError, TypeError):  # no time, or not all with or without a time zone
            return None
        if not (seconds.min() >= EARLIEST and seconds.max() < LATEST):
            return None
        self.assumed_utc |= assumed
        return seconds

    def _parse_each(self, cells: Sequence[str | None], number: int, faults: LineFaults) -> NDArray[np.float64]:
        import numpy as np  # noqa: PLC0415

        found = []
        for offset, cell in enumerate(cells):
            if cell is None:  # an empty line
                continue
            try:
                seconds, told = parse_moment(cell, self._layout.unit)
            except ValueError as error:
                faults.add_line(
                    number + offset, f"column {self._layout.time + 1} is {cell[:40]!r}; {error}", "not_a_time"
                )
                continue
            self.assumed_utc |= not told
            found.append(seconds)
        return np.array(found)


def read_periods(path: Path, layout: Layout) -> tuple[list[float], list[float], bool]:
    """Times, requests from each on, and whether UTC was assumed; of a file with a column of counts."""
    faults = LineFaults(path)
    times: list[float] = []
    values: list[float] = []
    assumed_utc = False
    count = layout.count if layout.count is not None else 0
    with opened(path) as file:
        rows = enumerate(rows_of(file, path), start=1)
        for number, row in islice(rows, layout.first_row, MOST_PERIODS + layout.first_row):
            if not any(cell.strip() for cell in row):
                continue
            if max(layout.time, count) >= len(row):
                faults.add_line(number, f"has {len(row)} columns; expected {layout.columns}", "too_short")
                continue
            try:
                seconds, told = parse_moment(row[layout.time], layout.unit)
            except ValueError as error:
                faults.add_line(number, f"is {row[layout.time][:40]!r}; {error}", "not_a_time")
                continue
            text = row[count].strip() or "0"  # CloudWatch leaves a period without requests empty
            if not is_number(text):
                faults.add_line(number, f"{layout.count_name} is {text[:40]!r}; expected a number", "not_a_number")
                continue
            assumed_utc |= not told
            times.append(seconds)
            values.append(float(text))
    faults.refuse()
    return times, values, assumed_utc
