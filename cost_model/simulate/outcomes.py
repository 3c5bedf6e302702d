"""What can become of a request."""

from __future__ import annotations

PENDING = 0
ANSWERED = 1
LATE = 2
"""Taken, but without its answer by the deadline."""
TOO_LARGE = 3
QUEUE_FULL = 4
TOO_LATE = 5
MAKES_OTHERS_LATE = 6

REFUSED = TOO_LARGE
"""From here on: refused at once, for the reason that `rerank_toolkit.scheduling.Refusal` gives."""

REASONS = {
    "too_large": TOO_LARGE,
    "queue_full": QUEUE_FULL,
    "too_late": TOO_LATE,
    "makes_others_late": MAKES_OTHERS_LATE,
}
