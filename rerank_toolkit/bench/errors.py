"""What keeps a measurement from being taken."""

from __future__ import annotations

from rerank_toolkit.contracts.errors import ToolkitError


class NotMeasurable(ToolkitError):
    """The endpoint answers, but not in a way that a profile can be made of."""


class NotComparable(ToolkitError):
    """The sides don't compute the same thing, so their speeds must not be set side by side."""


class ArtifactUnavailable(ToolkitError):
    """An artifact that was to be measured can't be packaged."""


class RivalUnavailable(ToolkitError):
    """The software to compare with can't be installed or doesn't start."""


class ServerNotStarted(ToolkitError):
    """The server that was to be measured didn't come up."""
