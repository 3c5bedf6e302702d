"""A file read line by line with bounded memory, and its faults by line: the first few, then how many more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

MOST_TOLD = 10


class LineFaults:
    """Faults of a file, of which the first MOST_TOLD are kept and the others counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: list[Fault] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._told)

    def add(self, field: str, message: str, type: str = "invalid") -> None:
        if len(self._told) < MOST_TOLD:
            self._told.append(Fault(field, message, type))
        else:
            self._more += 1

    def add_line(self, number: int, message: str, type: str = "invalid") -> None:
        self.add(f"line {number:,}", message, type)

    def refuse(self) -> None:
        """Raises InvalidInput with all there are."""
        if self._told:
            more = [Fault("", f"and {self._more:,} more faults", "more")] if self._more else []
            raise InvalidInput(str(self._path), [*self._told, *more])


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The file as text; raises InvalidInput if it can't be read or is not UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise InvalidInput(str(path), [Fault("", f"can't be read: {error.strerror}", "unreadable")]) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(str(path), [Fault("", f"is not UTF-8 text: {error.reason}", "not_text")]) from None


def bounded_lines(file: TextIO, most_characters: int) -> Iterator[str]:
    """The file's lines; a longer one comes in parts, so that a file without line ends fills no memory."""
    while line := file.readline(most_characters):
        yield line
