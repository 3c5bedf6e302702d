"""profile.json: what one model on one machine was measured to do. bench writes it, the cost model reads it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from rerank_toolkit.contracts.manifest import Dtype, Engine


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    cpu_model: str
    instruction_set: str
    """In the catalogue's words: avx2, avx512, avx512_vnni, avx512_bf16, amx, neon, sve_bf16."""
    architecture: str
    logical_cpus: int
    physical_cores: int
    memory_mib: int
    gpu: str | None = None
    instance: str | None = None
    """SageMaker's name for the type, where the measured endpoint ran on one."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One shape of request, sent alone and repeatedly."""

    documents: int
    tokens_per_document: float
    """Mean over the request, query and special tokens included."""
    tokens: int
    """All tokens of the request, as the answer's usage counts them."""
    sum_squared_tokens: float
    """Sum of squared sequence lengths: attention's share of the work."""
    inference_ms: float
    """Median compute time as the server reports it."""
    queue_ms: float
    latency_ms: float
    """Median round trip as the caller saw it."""
    latency_p95_ms: float
    samples: int


class Saturation(msgspec.Struct, frozen=True, kw_only=True):
    """How the saturated throughput was measured: requests of `workload`, a fixed number of them always under way."""

    documents_per_request: int
    """Fewer than the workload's where whole requests would not have fitted the time."""
    tokens_per_document: float
    squared_tokens_per_document: float | None = None
    """Mean square over the same; None in profiles of before it was recorded."""
    in_flight: int
    requests: int
    refused: int
    seconds: float


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    idle_mib: float
    peak_mib: float


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    model_id: str
    seeded: bool
    engine: Engine
    engine_version: str
    dtype: Dtype
    threads: int
    workers: int
    token_budget: int
    hardware: Hardware
    cells: list[Cell]
    documents_per_second: float
    """Of `workload`, saturated."""
    documents_per_50_ms: float
    """Largest request of the workload's mean document that is answered in 50 ms, interpolated."""
    workload: str
    memory: Memory | None
    """None where the endpoint doesn't tell."""
    startup_s: float | None
    """From the start of the server's process to its first answer, as it tells itself; None where it doesn't."""
    toolkit_version: str
    measured_at: datetime
    saturation: Saturation | None = None
