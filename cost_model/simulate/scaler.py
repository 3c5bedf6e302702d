"""Target tracking, as Application Auto Scaling does it, and what wakes an endpoint from nothing.

CloudWatch's alarms look at a metric period by period. When it was above the target in so many periods, capacity
becomes current capacity × metric / target, rounded up; when it was below nine tenths of it in so many, the same, once
the cooldown is over: with the highest of those metrics, for AWS only says that it scales in more gradually. While
instances start, nothing is decided: SageMaker takes no other change of an endpoint that is updating. (Application Auto
Scaling user guide, "How target tracking works"; SageMaker developer guide, "Scale an endpoint to zero instances".)
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

import msgspec

from cost_model.delays import load_delays

SLACK = 0.9
"""Of the target: the alarm for fewer instances is set there, as can be read off the alarms that AWS makes."""

_DELAYS = load_delays()


class TargetTracking(msgspec.Struct, frozen=True, kw_only=True):
    """Between `minimum` and `maximum` instances. Delays are published where `delays.toml` says so, else assumed."""

    metric: Literal["InvocationsPerInstance", "ConcurrentRequestsPerModel", "ApproximateBacklogSizePerInstance"]
    """Invocations a minute and instance; mean requests under way, or waiting, per instance."""
    target: float
    minimum: int
    maximum: int
    period_s: float = _DELAYS.tracking.metric_period_s
    out_datapoints: int = _DELAYS.tracking.scale_out_datapoints
    in_datapoints: int = _DELAYS.tracking.scale_in_datapoints
    scale_in_cooldown_s: float = _DELAYS.tracking.scale_in_cooldown_s
    start_s: float = _DELAYS.instance.start_s
    """From the decision to the instance's first answer."""


class Scaler:
    """How many instances there are, period after period."""

    def __init__(self, tracking: TargetTracking, count: int) -> None:
        self.count = min(max(count, tracking.minimum), tracking.maximum)
        """In service."""
        self.wanted = self.count
        """In service or starting, and paid."""
        self._tracking = tracking
        self._ready_at = math.inf
        self._blocked_until = -math.inf
        self._metrics: deque[float] = deque(maxlen=max(tracking.out_datapoints, tracking.in_datapoints))

    def advance(self, now: float) -> None:
        """Takes into service what has started."""
        if now >= self._ready_at:
            if not self.count:
                self._metrics.clear()  # of times before there was nothing
            self.count, self._ready_at = self.wanted, math.inf

    def observe(self, metric: float, now: float) -> None:
        """Decides on a period's metric, per instance in service."""
        tracking = self._tracking
        if not self.count:
            return
        self._metrics.append(metric)
        if self.wanted > self.count:
            return
        latest = list(self._metrics)
        above = latest[-tracking.out_datapoints :]
        below = latest[-tracking.in_datapoints :]
        if len(above) == tracking.out_datapoints and min(above) > tracking.target:
            wanted = self._needed(metric)
            if wanted > self.count:
                self.start(wanted, now)
        elif len(below) == tracking.in_datapoints and max(below) < SLACK * tracking.target:
            wanted = self._needed(max(below))
            if wanted < self.count and now >= self._blocked_until:
                self.count = self.wanted = wanted
                self._blocked_until = now + tracking.scale_in_cooldown_s

    def _needed(self, metric: float) -> int:
        needed = math.ceil(self.count * metric / self._tracking.target - 1e-9)
        return min(max(needed, self._tracking.minimum), self._tracking.maximum)

    def start(self, wanted: int, now: float) -> None:
        """Asks for so many in all."""
        self.wanted = wanted
        self._ready_at = now + self._tracking.start_s
