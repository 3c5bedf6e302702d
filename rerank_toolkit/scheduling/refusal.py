"""Why a request can't be taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request can't be taken, and when to come again."""

    reason: Literal["too_large", "queue_full", "too_late", "makes_others_late"]
    estimate_s: float | None
    """Until its answer, had it been taken; None before anything was measured."""
    retry_after_s: float | None
    """None where waiting won't help: the request alone is too much."""
