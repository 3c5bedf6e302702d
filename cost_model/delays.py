"""How long what scales takes to do so: delays.toml, typed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

TABLE = Path(__file__).with_name("delays.toml")


class _Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: str
    basis: Literal["published", "assumed"]


class Tracking(_Known, frozen=True, kw_only=True):
    metric_period_s: int
    scale_out_datapoints: int
    scale_in_datapoints: int
    scale_out_cooldown_s: int
    scale_in_cooldown_s: int

    @property
    def out_s(self) -> int:
        """Above the target until instances are asked for."""
        return self.metric_period_s * self.scale_out_datapoints

    @property
    def in_s(self) -> int:
        """Below the target until instances are given back."""
        return self.metric_period_s * self.scale_in_datapoints


class InstanceStart(_Known, frozen=True, kw_only=True):
    start_s: float
    start_interval_s: tuple[float, float]


class Container(_Known, frozen=True, kw_only=True):
    keep_warm_s: float
    keep_warm_interval_s: tuple[float, float]
    start_s: float
    start_interval_s: tuple[float, float]


class Queue(_Known, frozen=True, kw_only=True):
    around_s: float
    wake_s: float


class Job(_Known, frozen=True, kw_only=True):
    period_s: float


class Delays(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tracking: Tracking
    instance: InstanceStart
    container: Container
    async_: Queue = msgspec.field(name="async")
    batch: Job


@cache
def load_delays() -> Delays:
    return msgspec.toml.decode(TABLE.read_bytes(), type=Delays)
