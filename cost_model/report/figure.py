"""A picture with what belongs to it: the same figures as a table, where they come from, and what is missing."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from cost_model.components import cents
from rerank_toolkit.console import Column


class Cell(msgspec.Struct, frozen=True):
    """What a table shows, and what it sorts by. Without a key the value is unknown, and comes last either way."""

    text: str
    key: str | float | None = None
    more: str = ""
    """Too long to stand in the table: shown on request."""


class Source(msgspec.Struct, frozen=True):
    """Where figures are from: their basis and date."""

    what: str
    text: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """A name for links, unique on the page."""
    title: str
    says: str
    """What is to be seen, in words."""
    sources: tuple[Source, ...]
    """Of every figure in it."""
    missing: tuple[str, ...] = ()
    """What is not drawn, and why."""
    svg: str
    """Empty where there is nothing to draw."""
    table: Table


def in_words(count: float) -> str:
    """A count to two digits: 2.6 million."""
    for size, word in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if count >= 0.995 * size:
            return f"{float(f'{count / size:.2g}'):g}{word}"
    return f"{float(f'{count:.2g}'):g}"


def text(value: str) -> Cell:
    return Cell(value, value.casefold())


def number(value: float | None, form: str = ",.0f") -> Cell:
    return Cell("unknown") if value is None else Cell(format(value, form), float(value))


def money(value: Decimal | None, *, complete: bool = True) -> Cell:
    return Cell("unknown") if value is None else Cell(cents(value, complete=complete), float(value))
