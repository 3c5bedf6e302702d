"""What real servers were measured to hold (memory.json), beside what the parts add up to."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from cost_model.memory import MemoryNeed, memory_of
from rerank_toolkit.catalog.models import load_models
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.manifest import Dtype, Engine

TABLE = Path(__file__).with_name("memory.json")


class MeasuredServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server of the real container, after requests of up to `longest_tokens` a document. MiB."""

    model_id: str
    seeded: bool
    engine: Engine
    dtype: Dtype
    workers: int
    threads: int
    longest_tokens: int
    idle_rss_mib: float
    peak_rss_mib: float
    """Sum of each process's own peak: no less than what they held at once. A page that several share counts for
    each."""
    peak_pss_mib: float
    """Highest that was seen at once, a shared page counted once; one that other programs share too, less."""


class MeasuredServers(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    conditions: dict[str, Any]
    """As benchmarks/*.json hold them."""
    servers: list[MeasuredServer]


@cache
def load_servers() -> MeasuredServers:
    return documents.read(TABLE, MeasuredServers)


def predicted(server: MeasuredServer) -> MemoryNeed:
    return memory_of(
        load_models()[server.model_id],
        server.engine,
        server.dtype,
        workers=server.workers,
        longest_tokens=server.longest_tokens,
        seeded=server.seeded,
    )
