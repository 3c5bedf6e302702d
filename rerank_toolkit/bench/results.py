"""The files in benchmarks/: what was compared, under which conditions, sample by sample."""

from __future__ import annotations

from datetime import datetime

import msgspec

from rerank_toolkit.bench.agreement import Agreement
from rerank_toolkit.bench.process_tree import MemoryPoint
from rerank_toolkit.contracts.profile import Hardware


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What a figure was measured under, and the command that measures it again."""

    measured_at: datetime
    command: str
    toolkit_version: str
    hardware: Hardware
    workload: str


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a comparison."""

    name: str
    software: dict[str, str]
    """Versions of what computes."""
    precision: str
    samples_ms: list[float]
    """Each request of the interleaved rounds, in their order."""
    median_ms: float
    documents_per_second: float
    """Of a request at the median."""
    peak_rss_mib: float | None
    """Sum over its processes of each one's peak: no less than what they held at once. None for a side that shares its
    process with another."""
    agreement: Agreement | None = None
    """With the reference; None for the reference."""
    times_ours: dict[str, float] = {}
    """How many times as fast each of ours is, by its name."""
    note: str = ""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    reason: str


class Efficiency(msgspec.Struct, frozen=True, kw_only=True):
    """Share of the machine's arithmetic that one of ours turns into scores."""

    name: str
    precision: str
    necessary_gflops: float
    """A second: operations that scoring can't do without, over the whole request's time, HTTP included."""
    peak_gflops: float
    """A second: matrix products alone, measured in the same precision, with as many threads."""
    share: float


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a request of ours costs besides its turn at the engine: HTTP, JSON, tokenising, and the caller's part."""

    name: str
    median_ms: float
    share: float
    """Of the request's time."""


class EngineComparison(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    conditions: Conditions
    weights: str
    reference: str
    rounds: int
    ours: list[Measured]
    rivals: list[Measured]
    left_out: list[LeftOut]
    surroundings: list[Surroundings]
    efficiency: list[Efficiency]


class ModelComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Models of the catalogue side by side on one engine."""

    schema_version: int = 1
    conditions: Conditions
    engine: str
    dtype: str
    rounds: int
    slowest: str
    models: list[Measured]
    times_slowest: dict[str, float]
    efficiency: list[Efficiency]


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """What one number of workers takes to start and to run."""

    workers: int
    """As the answers say."""
    ready_s: list[float]
    """Each start: from the process's beginning to the first healthy answer, seen from outside."""
    idle_pss_mib: float
    peak_pss_mib: float
    """Over requests of the workload: all processes at one moment, shared pages counted once."""
    peak_rss_mib: float
    """Over the same: sum of each process's own peak."""
    long_documents: int
    long_tokens: int
    """Mean of the long documents' sequences."""
    long_peak_pss_mib: float
    long_peak_rss_mib: float
    long_seconds: float


class FootprintReport(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    conditions: Conditions
    model: str
    engine: str
    dtype: str
    footprints: list[Footprint]


class Fairness(msgspec.Struct, frozen=True, kw_only=True):
    """A small request's time while a large one is in service."""

    schema_version: int = 1
    conditions: Conditions
    model: str
    engine: str
    dtype: str
    workers: int
    small_documents: int
    large_documents: int
    idle_ms: list[float]
    loaded_ms: list[float]
    large_ms: list[float]
    idle_p95_ms: float
    loaded_p95_ms: float
    times_idle: float


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    p50_ms: float
    p95_ms: float
    p99_ms: float
    longest_ms: float


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every request of an open-loop load."""

    schema_version: int = 1
    conditions: Conditions
    model: str
    engine: str
    dtype: str
    workers: int
    documents_per_request: int
    capacity_per_second: float | None
    """Requests answered a second under saturation, measured just before; None where a rate was given."""
    offered_per_second: float
    seconds: float
    """Of sending; answers were awaited beyond."""
    time_limit_s: float
    sent: int
    answered: int
    refused: dict[str, int]
    """By status."""
    failed: dict[str, int]
    """By status, or by the way a connection broke."""
    hung: int
    """Not answered within the time limit and a grace."""
    accepted: Latencies | None
    """Of those answered, from the moment that each was due."""
    refusals: Latencies | None
    memory: list[MemoryPoint]
    memory_growth_mib: float | None
    """Between the second quarter of the sending and its last, medians; None where memory can't be seen."""
    workers_killed: int = 0


class DrainTry(msgspec.Struct, frozen=True, kw_only=True):
    in_flight: int
    """Requests without an answer when the signal was sent."""
    answered: int
    refused: int
    lost: int
    """Sent, and neither answered nor refused."""
    seconds: float
    """From the signal to the end of the process."""
    exit_code: int


class DrainReport(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    conditions: Conditions
    model: str
    tries: list[DrainTry]
