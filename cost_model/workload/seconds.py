"""Times of requests, counted by their second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_model.workload.cloudwatch import MOST_DAYS
from cost_model.workload.counts import Counts
from cost_model.workload.moments import as_datetime
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault


class Seconds:
    """Counts times by their second; the seconds that it holds grow with the time covered, not with the requests."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._base = 0
        self._counts = np.zeros(0, dtype=np.uint32)
        self._first, self._last = np.inf, -np.inf
        self._latest = -np.inf
        self.unsorted = False
        self._whole_seconds = self._whole_minutes = True

    @property
    def resolution(self) -> int:
        """Seconds that every time is a multiple of; 0 where they are finer."""
        return 60 if self._whole_minutes else 1 if self._whole_seconds else 0

    def add(self, stamps: NDArray[np.float64]) -> None:
        self.unsorted |= bool(stamps[0] < self._latest or (np.diff(stamps) < 0).any())
        self._latest = float(stamps[-1])
        self._whole_seconds = self._whole_seconds and not (stamps % 1).any()
        self._whole_minutes = self._whole_minutes and not (stamps % 60).any()
        seconds, counts = np.unique(np.floor(stamps).astype(np.int64), return_counts=True)
        self._first, self._last = min(self._first, seconds[0]), max(self._last, seconds[-1])
        if self._last - self._first > MOST_DAYS * 86_400:
            told = (
                f"covers {(self._last - self._first) / 86_400:,.0f} days, from {as_datetime(self._first).date()} to "
                f"{as_datetime(self._last).date()}; expected at most {MOST_DAYS}"
            )
            raise InvalidInput(str(self._path), [Fault("", told, "too_long")])
        self._make_room(int(seconds[0]), int(seconds[-1]))
        self._counts[seconds - self._base] += counts.astype(np.uint32)

    def counts(self) -> Counts:
        """Raises InvalidInput unless there were times of two seconds at least."""
        if not self._last > self._first:
            told = "has requests of one moment only; expected a trace that covers some time"
            raise InvalidInput(str(self._path), [Fault("", told if len(self._counts) else "has no times", "too_short")])
        first, last = int(self._first), int(self._last)
        return Counts(first, 1, self._counts[first - self._base : last - self._base + 1])

    def _make_room(self, first: int, last: int) -> None:
        if not len(self._counts):
            self._base = first
        low = min(self._base, first)
        high = max(self._base + len(self._counts), last + 1)
        if low == self._base and high == self._base + len(self._counts):
            return
        spare = (high - low) // 2  # so that growing costs no more than counting
        grown = np.zeros(high - low + spare, dtype=np.uint32)
        grown[self._base - low : self._base - low + len(self._counts)] = self._counts
        self._base, self._counts = low, grown
