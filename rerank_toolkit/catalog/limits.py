"""Hard limits of each kind of endpoint and of the container contract: limits.toml, typed."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import msgspec

TABLE = Path(__file__).with_name("limits.toml")

MEGABYTE = 1_000_000
"""AWS doesn't say which megabyte its limits mean; what fits into the smaller one fits into both."""


class _Sourced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: str
    as_of: date


class RequestLimits(_Sourced, frozen=True, kw_only=True):
    payload_mb: int
    timeout_s: int

    @property
    def payload_bytes(self) -> int:
        return self.payload_mb * MEGABYTE


class ServerlessLimits(RequestLimits, frozen=True, kw_only=True):
    memory_mb: tuple[int, ...]
    max_concurrency: int
    container_start_s: int
    image_gb: int
    disk_gb: int


class ContainerLimits(_Sourced, frozen=True, kw_only=True):
    environment_entries: int
    environment_value_bytes: int
    environment_bytes: int
    custom_attributes_characters: int
    ping_timeout_s: int
    startup_timeout_s: tuple[int, int]
    stop_grace_s: int


class EndpointLimits(_Sourced, frozen=True, kw_only=True):
    variants: int
    """That answer."""
    shadow_variants: int
    """Beside one that answers."""
    component_memory_mb: int
    """At least, of each copy of an inference component."""
    component_cpu_cores: float


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    realtime: RequestLimits
    serverless: ServerlessLimits
    async_: RequestLimits = msgspec.field(name="async")
    batch: RequestLimits
    container: ContainerLimits
    endpoint: EndpointLimits


@cache
def load_limits() -> Limits:
    return msgspec.toml.decode(TABLE.read_bytes(), type=Limits)
