"""The sections of a page that Sphinx wrote: heading and own text, nested sections apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_INLINE = frozenset(
    {"a", "abbr", "b", "cite", "code", "em", "i", "kbd", "samp", "small", "span", "strong", "sub", "sup", "var"}
)
# Furniture of the page: permalinks, tables of contents, footnote marks.
_SKIPPED_CLASSES = frozenset({"headerlink", "contents", "footnote-reference", "toctree-wrapper"})
_SKIPPED_TAGS = frozenset({"script", "style", "nav"})


@dataclass
class Section:
    anchor: str
    heading_parts: list[str] = field(default_factory=list)
    text_parts: list[str] = field(default_factory=list)
    has_subsections: bool = False

    @property
    def heading(self) -> str:
        return _collapse(self.heading_parts)

    @property
    def text(self) -> str:
        """The section's own words on one line, without its heading and without its subsections."""
        return _collapse(self.text_parts)


def read_sections(html: str) -> list[Section]:
    """Every section of the page, in the page's order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.sections


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: list[Section] = []
        self._open: list[Section] = []
        self._in_heading = False
        self._skip_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if self._skip_depth:
            self._skip_depth += tag not in _VOID
            return
        if tag in _SKIPPED_TAGS or _SKIPPED_CLASSES & set((attributes.get("class") or "").split()):
            self._skip_depth = 1
            return
        if tag == "section":
            if self._open:
                self._open[-1].has_subsections = True
            section = Section(anchor=attributes.get("id") or "")
            self.sections.append(section)
            self._open.append(section)
        elif tag in _HEADINGS:
            self._in_heading = True
        self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._skip_depth:
            self._skip_depth -= tag not in _VOID
            return
        if tag == "section" and self._open:
            self._open.pop()
        elif tag in _HEADINGS:
            self._in_heading = False
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        if self._open and not self._skip_depth:
            section = self._open[-1]
            (section.heading_parts if self._in_heading else section.text_parts).append(data)

    def _separate(self, tag: str) -> None:
        """Keeps the words of neighbouring blocks apart."""
        if tag not in _INLINE:
            self.handle_data(" ")


def _collapse(parts: list[str]) -> str:
    return " ".join("".join(parts).split())
