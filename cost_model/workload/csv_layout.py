"""Which column of a CSV file has the times, and which, if any, the requests of a period."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from cost_model.workload.lines import bounded_lines, opened
from cost_model.workload.moments import EXPECTED, is_number, parse_moment, unit_of
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

MOST_CHARACTERS = 65_536
MOST_HEADER_ROWS = 30
MOST_COLUMNS = 1_000

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
        head = list(islice(rows_of(file, path), MOST_HEADER_ROWS))
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


def rows_of(file: TextIO, path: Path) -> Iterator[list[str]]:
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
