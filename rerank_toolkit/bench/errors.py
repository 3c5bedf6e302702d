"""What keeps a measurement from being taken."""

from __future__ import annotations

from rerank_toolkit.contracts.errors import ToolkitError


class NotMeasurable(ToolkitError):
    """The endpoint answers, but not in a way that a profile can be made of."""


class ServerNotStarted(ToolkitError):
    """The server that was to be measured didn't come up."""
