"""The little Markdown that the pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import cleandoc

import msgspec


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells that are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def code(text: object) -> str:
    """Inline."""
    return f"`{text}`"


def block(text: str, language: str = "") -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def json_block(document: object) -> str:
    """The document indented, as msgspec encodes it."""
    return block(msgspec.json.format(msgspec.json.encode(document), indent=2).decode(), "json")


def paragraphs(docstring: str | None) -> str:
    """A docstring as Markdown: its paragraphs, each on one line; indented ones as code."""
    parts = []
    for part in cleandoc(docstring or "").split("\n\n"):
        if part.startswith("    "):
            parts.append(block("\n".join(line[4:] for line in part.splitlines())))
        else:
            parts.append(" ".join(line.strip() for line in part.splitlines()))
    return "\n\n".join(part for part in parts if part)


def join(*parts: str) -> str:
    """Blocks of a page, a blank line between them."""
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
