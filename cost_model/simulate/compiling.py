"""How functions over arrays are compiled: by numba, once a machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


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
