"""What the demo says: results on stdout and in a file, progress on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

WIDTH = 118
_HEARTBEAT_S = 10.0


class Narrator:
    """Numbers the steps, times them, and keeps what is shown in the file `record` as plain text."""

    def __init__(self, record: Path, *, steps: int) -> None:
        record.parent.mkdir(parents=True, exist_ok=True)
        self._path = record
        self._file = record.open("w", encoding="utf-8")
        self._record = Console(file=self._file, width=WIDTH, no_color=True, highlight=False)
        self._screen = Console(highlight=False)
        if not self._screen.is_terminal:
            self._screen = Console(highlight=False, width=WIDTH)
        self._progress = Console(stderr=True, highlight=False)
        self._steps = steps

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        lines = self._path.read_text(encoding="utf-8").splitlines()  # tables pad theirs with blanks
        self._path.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")

    def show(self, *renderables: RenderableType) -> None:
        for renderable in renderables:
            self._screen.print(renderable)
            self._record.print(renderable)
        self._file.flush()

    def show_output(self, text: str) -> None:
        """What a command printed, as it is: its lines are not wrapped again."""
        for console in (self._screen, self._record):
            console.print(Text(f"\n{text.strip()}\n"), soft_wrap=True)
        self._file.flush()

    def notice(self, text: str) -> None:
        """One line about the run itself, on stderr."""
        self._progress.print(Text(text), soft_wrap=True)

    @contextmanager
    def step(self, number: int, name: str) -> Iterator[Ticker]:
        """Says how long the block took and how it ended."""
        title = f"{number}/{self._steps} {name}"
        start = time.monotonic()
        mark, style = "✗", "bold red"
        try:
            with Ticker(self._progress, title) as ticker:
                yield ticker
            mark, style = "✓", "bold green"
        finally:
            elapsed = f"{time.monotonic() - start:.1f} s"
            room = max(1, 72 - len(title))
            self.show(Text.assemble((mark, style), f" {title}{'.' * room:>{room}} {elapsed:>7}"))


class Ticker:
    """One step's progress: a spinner with the time on a terminal, elsewhere a line now and then."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._start = self._last = time.monotonic()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status(Text(self._title))
            self._status.start()
        else:
            self._console.print(Text(f"{self._title} …"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def tick(self, detail: str) -> None:
        """Tells what the step is at, in a few words."""
        now = time.monotonic()
        line = Text(f"{self._title}  {now - self._start:.0f} s  {detail}")
        line.truncate(self._console.width - 3 if self._status else WIDTH, overflow="ellipsis")
        if self._status is not None:
            self._status.update(line)
        elif now - self._last >= _HEARTBEAT_S:
            self._last = now
            self._console.print(line, soft_wrap=True)
