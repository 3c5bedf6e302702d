"""What commands print: data on stdout, progress on stderr.

Used by the cli.py of each room, never by the code behind it.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Format = Literal["table", "json", "markdown", "csv"]

_quiet = False


def set_quiet(quiet: bool) -> None:
    """With True, progress is not printed; errors still are."""
    global _quiet  # noqa: PLW0603  # one process, one command line
    _quiet = quiet


def say(text: str) -> None:
    """One line of progress on stderr."""
    if not _quiet:
        _stderr().print(escape(text), highlight=False, soft_wrap=True)


@contextmanager
def status(text: str) -> Iterator[None]:
    """While the block runs: a spinner on a terminal, elsewhere one line."""
    console = _stderr()
    if _quiet or not console.is_terminal:
        say(text)
        yield
        return
    with console.status(escape(text)):
        yield


class BrokenStdout(Exception):
    """Whoever read our output has gone."""


def print_text(text: str, *, end: str = "\n") -> None:
    """Plain text on stdout, unwrapped. Raises BrokenStdout."""
    try:
        sys.stdout.write(text.rstrip("\n") + end)
        sys.stdout.flush()
    except BrokenPipeError:
        raise BrokenStdout from None


def print_json(document: object) -> None:
    """The document on stdout, indented; msgspec's encoding, so structs and Decimals are fine."""
    print_text(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    justify: Literal["left", "right"] = "left"


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    format: Format = "table",
    title: str | None = None,
) -> None:
    """Rows on stdout. `json` gives a list of objects keyed by column name; a command with a JSON schema of
    its own calls `print_json` instead."""
    match format:
        case "table":
            _print_rich(columns, rows, title)
        case "markdown":
            print_text(_markdown(columns, rows))
        case "csv":
            print_text(_csv(columns, rows))
        case "json":
            names = [column.name for column in columns]
            print_json([dict(zip(names, row, strict=True)) for row in rows])


class _Stdout(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command line, where rich would exit with 1: a reader that has seen enough is no failure."""
        raise BrokenStdout


def _stderr() -> Console:
    return Console(stderr=True)  # made when needed, so that a redirected or captured stderr is the one written to


def _print_rich(columns: Sequence[Column], rows: Sequence[Sequence[str]], title: str | None) -> None:
    table = Table(title=escape(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(escape(column.name), justify=column.justify, no_wrap=True)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console = _Stdout()
    if not console.is_terminal:  # a pipe has no width to respect: never cut a figure there
        console = _Stdout(width=Console(width=10_000).measure(table).maximum)
    console.print(table)


def _markdown(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        [column.name for column in columns],
        ["---:" if column.justify == "right" else "---" for column in columns],
        *rows,
    ]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def _csv(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    writer.writerows(rows)
    return text.getvalue()
