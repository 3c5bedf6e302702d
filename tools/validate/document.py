"""docs/validation.md, whose tables are written between markers, as those of docs/benchmarks.md are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

DOCUMENT = Path("docs/validation.md")

_BLOCK = re.compile(r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def renewed_text(text: str, sections: Mapping[str, Callable[[], str]]) -> str:
    """`text` with these sections written anew; others stay as they are."""

    def block(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        return f"{start}\n{sections[name]().rstrip()}\n\n{end}" if name in sections else match.group()

    return _BLOCK.sub(block, text)


def places(text: str) -> list[str]:
    """Names of the sections that the text has places for, in its order."""
    return [name for _, name, _ in _BLOCK.findall(text)]
