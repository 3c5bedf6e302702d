"""Who wants to know that the simulation is being compiled, which takes seconds without a word. Imports no compiler."""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def on_compiling(tell: Callable[[str], None]) -> None:
    """From now on `tell` gets a line for people before something is compiled; not where it was compiled before."""
    _listeners.append(tell)


def announce(line: str) -> None:
    for tell in _listeners:
        tell(line)
