"""How functions over arrays are compiled: by numba, once a machine."""

from __future__ import annotations

import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit
from numba.core import config, event

from cost_model.simulate.announcing import announce

_settings: Any = config  # numba makes their attributes when it is imported

Function = TypeVar("Function", bound=Callable[..., object])

ONCE = "compiling the simulation, once on this machine: some seconds"
EACH_TIME = (
    "compiling the simulation: some seconds, each time, for neither its folder nor your cache can be written; "
    "NUMBA_CACHE_DIR names a folder that keeps it"
)


def compiled(function: Function) -> Function:
    """The function as machine code, compiled at its first call and kept for later processes. Division follows
    IEEE 754, as numpy does.

    What is kept is kept for the files of its package and of the one around it as they are: numba itself would notice
    that the function's own file has changed, and not those of the functions and constants that are compiled into it.
    Where no folder can be written, each process compiles anew.
    """
    folder = _folder(Path(inspect.getfile(function)).parent)
    if folder is None:
        return cast(Function, njit(error_model="numpy")(function))
    named, _settings.CACHE_DIR = _settings.CACHE_DIR, str(folder)
    try:
        return cast(Function, njit(cache=True, error_model="numpy")(function))
    finally:
        _settings.CACHE_DIR = named


@cache
def _folder(package: Path) -> Path | None:
    """Where the package's functions are kept, by what the files say; None where nothing can be written."""
    sources = sorted([*package.glob("*.py"), *package.parent.glob("*.py")])
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    for base in _bases(package):
        folder = base / f"compiled-{digest}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def _bases(package: Path) -> Iterator[Path]:
    """The folder that the user names, or else one beside the package, and in the user's cache."""
    if _settings.CACHE_DIR:
        yield Path(_settings.CACHE_DIR)
        return
    yield package / "__pycache__"
    with suppress(RuntimeError):  # a user without a home has no cache either
        yield Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rerank-toolkit"


class _Announcer(event.Listener):
    """Says so once a process, when the first of our functions was found in no cache."""

    def __init__(self) -> None:
        self._said = False

    def on_start(self, compilation: event.Event) -> None:
        dispatcher = compilation.data["dispatcher"]
        if self._said or not dispatcher.py_func.__module__.startswith("cost_model."):
            return
        self._said = True
        announce(ONCE if dispatcher.stats.cache_path else EACH_TIME)

    def on_end(self, compilation: event.Event) -> None:
        """What is compiled then runs, which says enough."""


event.register("numba:compile", _Announcer())  # type: ignore[no-untyped-call]  # numba has no types
