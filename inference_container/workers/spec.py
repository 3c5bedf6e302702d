"""What a worker is told: at its start, and when the artifact was checked. And what it says of itself."""

from __future__ import annotations

import msgspec

from rerank_toolkit.contracts.manifest import Dtype, Engine, Manifest


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    engine: Engine
    threads: int
    cores: tuple[int, ...] = ()
    """Logical CPUs that are this worker's alone; none: wherever the system puts it."""
    log_level: str = "info"
    parent: int = 0
    """Process id of the front."""


class Load(msgspec.Struct, frozen=True):
    path: str
    manifest: Manifest


class Ready(msgspec.Struct, frozen=True):
    """The engine as it runs, which may be in another dtype than the artifact's."""

    name: str
    version: str
    dtype: Dtype
