"""The root of every error that is meant for a user.

Each package grows its own small tree from here. A leaf knows the exit code with which the command line
ends; a leaf that can meet an HTTP caller knows its status as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from rerank_toolkit.contracts.faults import Fault


class ToolkitError(Exception):
    """Something failed that the user can do something about; its text says what."""

    exit_code = 1


class InvalidInput(ToolkitError):
    """A file, option or body that is malformed: carries all its faults, not the first."""

    exit_code = 2

    def __init__(self, what: str, faults: Sequence[Fault]) -> None:
        self.what = what
        self.faults = tuple(faults)
        super().__init__("\n".join([f"{what}:", *(f"  {fault}" for fault in self.faults)]))


class UnknownName(ToolkitError):
    """A name that no table holds: a model, an instance type, a region."""

    exit_code = 2


class NothingMeetsConstraints(ToolkitError):
    """Valid input, but no option can be ranked or none meets what was asked."""

    exit_code = 3
