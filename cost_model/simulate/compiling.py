"""How functions over arrays are compiled: by numba, once a machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit
from numba.core import event

from cost_model.simulate.announcing import announce

Function = TypeVar("Function", bound=Callable[..., object])

ONCE = "compiling the simulation, once on this machine: some seconds"
EACH_TIME = (
    "compiling the simulation: some seconds, each time, for neither its folder nor your cache can be written; "
    "NUMBA_CACHE_DIR names a folder that keeps it"
)


def compiled(function: Function) -> Function:
    """The function as machine code, compiled at its first call and kept beside its file for later processes.

    Where neither that folder nor the user's cache can be written, each process compiles anew. Division follows
    IEEE 754, as numpy does. A function that calls others of another file isn't compiled anew when those change, so
    that what is compiled together stands in one file.
    """
    try:
        return cast(Function, njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # numba finds no folder for its cache
        return cast(Function, njit(error_model="numpy")(function))


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
