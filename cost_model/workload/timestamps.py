"""A CSV file of times: one request a row, or the requests of a period a row as CloudWatch's console exports them.

Read as a stream, in chunks, so that a file may have any number of rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cost_model.workload.lines import LineFaults, bounded_lines, opened
from cost_model.workload.moments import (
    EARLIEST,
    EPOCH,
    EXPECTED,
    LATEST,
    LEAST_CHARACTERS,
    is_number,
    parse_moment,
    unit_of,
)
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK_ROWS = 65_536
MOST_CHARACTERS = 65_536
MOST_HEADER_ROWS = 30
MOST_COLUMNS = 1_000
MOST_PERIODS = 2_000_000

TIME_NAMES = ("timestamp", "time", "ts", "@timestamp", "datetime", "date", "eventtime", "start_time", "starttime", "at")
COUNT_NAMES = ("invocations", "sum", "requests", "count", "modelinvocations")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a row has what."""

    first_row: int
    """Of the data; rows before it are headers."""
    time: int
    """The column of the time."""
    count: int | None
    """The column of the requests in a period; None: each row is a request."""
    count_name: str
    columns: int
    unit: float | None
    """Seconds in the unit of a number."""


def find_layout(path: Path, column: str | None = None) -> Layout:
    """How the file is laid out, by its first rows.

    Raises InvalidInput if it is empty, if no row has a time, or if a header doesn't tell which column has it.
    """
    with opened(path) as file:
        head = list(islice(_rows(file, path), MOST_HEADER_ROWS))
    if not any(any(cell.strip() for cell in row) for row in head):
        raise InvalidInput(str(path), [Fault("", "is empty; expected a time in each row", "empty")])
    first = next((at for at, row in enumerate(head) if any(_is_moment(cell) for cell in row)), None)
    if first is None:
        told = f"has no time in its first {len(head)} rows, which begin with {_first_cell(head)!r}; {EXPECTED}"
        raise InvalidInput(str(path), [Fault("line 1", told, "no_times")])
    row = head[first]
    names = [[line[at].strip() for line in head[:first] if at < len(line)] for at in range(len(row))]
    time = _time_column(path, names, row, column)
    counts = [at for at in range(len(row)) if at != time and any(name.casefold() in COUNT_NAMES for name in names[at])]
    others = [at for at in range(len(row)) if at != time]
    if first > 1 and not counts and len(others) == 1:  # an export of one metric, whatever its label
        counts = others
    if len(counts) > 1:
        told = f"has {len(counts)} columns of counts ({', '.join(_title(names[at]) for at in counts)}); leave one"
        raise InvalidInput(str(path), [Fault("header", told, "ambiguous")])
    if first > 1 and not counts and others:
        told = f"has {first} lines of header, as CloudWatch's console writes, and no column named Invocations"
        raise InvalidInput(str(path), [Fault("header", f"{told}; it has {_titles(names)}", "no_counts")])
    text = row[time].strip()
    return Layout(
        first_row=first,
        time=time,
        count=counts[0] if counts else None,
        count_name=_title(names[counts[0]]) if counts else "",
        columns=len(row),
        unit=unit_of(float(text)) if is_number(text) else None,
    )


class Timestamps:
    """The times in a file of one request a row; iterating reads it."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        self._layout = layout
        self.assumed_utc = False
        """Whether a time was read that names no time zone."""

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        """(rows,) seconds since 1970 of each chunk, in the file's order; raises InvalidInput after the last one with
        the faults of all."""
        import numpy as np  # noqa: PLC0415  # the commands that only price start without it

        faults = LineFaults(self._path)
        with opened(self._path) as file:
            number = 1 + self._layout.first_row
            rows = islice(_rows(file, self._path), self._layout.first_row, None)
            while chunk := list(islice(rows, CHUNK_ROWS)):
                parsed = self._parse(chunk, number, faults)
                number += len(chunk)
                if not faults and len(parsed):
                    yield np.asarray(parsed, dtype=float)
        faults.refuse()

    def _parse(
        self, chunk: Sequence[Sequence[str]], number: int, faults: LineFaults
    ) -> list[float] | NDArray[np.float64]:
        quick = self._parse_at_once(chunk)
        return self._parse_each(chunk, number, faults) if quick is None else quick

    def _parse_at_once(self, chunk: Sequence[Sequence[str]]) -> NDArray[np.float64] | None:
        """What `_parse_each` makes of a chunk without faults, several times faster; None where one row differs."""
        import numpy as np  # noqa: PLC0415

        at, unit = self._layout.time, self._layout.unit
        assumed = False
        try:
            cells = [row[at] for row in chunk]
            if unit is not None:
                seconds = np.array(cells, dtype=float) * unit
            elif any(len(cell) < LEAST_CHARACTERS for cell in cells):
                return None
            else:
                moments = [datetime.fromisoformat(cell) for cell in cells]
                assumed = moments[0].tzinfo is None
                epoch = EPOCH.replace(tzinfo=None) if assumed else EPOCH
                seconds = np.array([(moment - epoch).total_seconds() for moment in moments])
        except (ValueError, IndexError, TypeError):
            return None
        if not (seconds.min() >= EARLIEST and seconds.max() < LATEST):
            return None
        self.assumed_utc |= assumed
        return seconds

    def _parse_each(self, chunk: Sequence[Sequence[str]], number: int, faults: LineFaults) -> list[float]:
        at, unit = self._layout.time, self._layout.unit
        moments = []
        for offset, row in enumerate(chunk):
            if not row:  # an empty line
                continue
            if at >= len(row):
                faults.add_line(number + offset, f"has {len(row)} columns; the time is in column {at + 1}", "no_time")
                continue
            try:
                seconds, told = parse_moment(row[at], unit)
            except ValueError as error:
                faults.add_line(number + offset, f"is {row[at][:40]!r}; {error}", "not_a_time")
                continue
            self.assumed_utc |= not told
            moments.append(seconds)
        return moments


def read_periods(path: Path, layout: Layout) -> tuple[list[float], list[float], bool]:
    """Times, requests from each on, and whether UTC was assumed; of a file with a column of counts."""
    faults = LineFaults(path)
    times: list[float] = []
    values: list[float] = []
    assumed_utc = False
    count = layout.count if layout.count is not None else 0
    with opened(path) as file:
        rows = enumerate(_rows(file, path), start=1)
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


def _rows(file: TextIO, path: Path) -> Iterator[list[str]]:
    """Cells, apart by commas, semicolons or tabs, whichever the first line has."""
    lines = bounded_lines(file, MOST_CHARACTERS)
    first = next(lines, "")
    delimiter = next((mark for mark in (",", ";", "\t") if mark in first), ",")
    try:
        yield from csv.reader(chain([first], lines), delimiter=delimiter)
    except csv.Error as error:
        raise InvalidInput(str(path), [Fault("", f"is not CSV: {error}", "not_csv")]) from None


def _first_cell(rows: Sequence[Sequence[str]]) -> str:
    return next(cell.strip() for row in rows for cell in row if cell.strip())[:40]


def _is_moment(cell: str) -> bool:
    try:
        parse_moment(cell)
    except ValueError:
        return False
    return True


def _time_column(path: Path, names: Sequence[Sequence[str]], row: Sequence[str], column: str | None) -> int:
    """By its name, else the one whose name says so, else the only one that holds a time."""
    if column is not None:
        named = [at for at, titles in enumerate(names) if column.casefold() in (title.casefold() for title in titles)]
        if not named:
            told = f"has no column named {column!r}; it has {_titles(names)}"
            raise InvalidInput(str(path), [Fault("header", told, "unknown_column")])
        return named[0]
    holding = [at for at, cell in enumerate(row) if _is_moment(cell)]
    known = [at for at in holding if any(title.casefold() in TIME_NAMES for title in names[at])]
    if len(known) == 1 or len(holding) == 1:
        return (known or holding)[0]
    told = f"has times in {len(holding)} columns ({_titles(names)}); name the arrivals' one by trace_column"
    raise InvalidInput(str(path), [Fault("header", told, "ambiguous")])


def _title(names: Sequence[str]) -> str:
    return next((name for name in names if name), "")


def _titles(names: Sequence[Sequence[str]]) -> str:
    return ", ".join(_title(column) or f"column {at}" for at, column in enumerate(names[:MOST_COLUMNS], start=1))
