"""How fast engines are, learned from what they have computed."""

from __future__ import annotations

from dataclasses import dataclass

RATE_MEMORY_S = 10.0
"""Compute seconds after which a measured batch counts half: smooths, yet follows a noisy host."""

OUTLIER = 4.0
"""A batch counts for at most so many times what was expected of it: a machine that was frozen for a minute is not
slow, and one that has become slow will say so again."""


@dataclass(slots=True)
class Pace:
    """Seconds of a batch = per_batch + per_work * work, by least squares over recent batches."""

    batches: float = 0.0
    work: float = 0.0
    work_squared: float = 0.0
    seconds: float = 0.0
    work_seconds: float = 0.0

    def add(self, work: float, seconds: float) -> None:
        keep = 0.5 ** (seconds / RATE_MEMORY_S)
        self.batches = keep * self.batches + 1
        self.work = keep * self.work + work
        self.work_squared = keep * self.work_squared + work * work
        self.seconds = keep * self.seconds + seconds
        self.work_seconds = keep * self.work_seconds + work * seconds

    def law(self) -> tuple[float, float] | None:
        """(per_batch, per_work); None before anything was measured. Batches of one size, or times that don't grow
        with work, tell of no overhead: then all time is put down to work."""
        if not self.work:
            return None
        mean = self.seconds / self.work
        spread = self.batches * self.work_squared - self.work**2
        slope = (self.batches * self.work_seconds - self.work * self.seconds) / spread if spread > 0 else 0.0
        if spread <= 1e-6 * self.work**2 or not 0 < slope < mean:
            return 0.0, mean
        return (self.seconds - slope * self.work) / self.batches, slope
