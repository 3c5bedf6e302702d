"""What can go wrong while prices are fetched. Whatever it is, the snapshot in hand stays."""

from __future__ import annotations

from collections.abc import Sequence

from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault


class RefreshFailed(ToolkitError):
    """New prices could not be fetched, or are not to be believed. Exit code 1."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        shown = [f"  {fault}" for fault in self.faults[:MOST_FAULTS]]
        if more := len(self.faults) - MOST_FAULTS:
            shown += [f"  and {more} more"] if more > 0 else []
        super().__init__("\n".join(["no price was changed:", *shown]))
