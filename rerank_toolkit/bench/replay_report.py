"""benchmarks/replay.json: one trace sent to one server at several paces, sample by sample, and its summary."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import msgspec

from rerank_toolkit.bench.cpu_time import CpuTimes
from rerank_toolkit.bench.results import Conditions
from rerank_toolkit.bench.rounds import percentile
from rerank_toolkit.bench.trace import Arrival

COLUMNS = (
    "load",
    "requests",
    "requests/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "queue p95 ms",
    "refused",
    "workers' CPU",
    "front's CPU",
    "generator's CPU",
    "others' CPU",
)


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """One column each, an entry for each answered request."""

    positions: list[int]
    """In the trace."""
    latency_ms: list[float]
    """From the moment that the request was due to its whole answer."""
    queue_ms: list[float]
    """As the server tells: from admission to scores, time in which no batch of the request was computed."""
    inference_ms: list[float]
    """As the server tells: time in which one was."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that were sent together."""

    answers: Answers
    refused: int
    late_p95_ms: float
    """By how much the generator sent requests after they were due."""
    outside_p50_ms: float | None
    """Of the latency, what the server doesn't know of: connections and the generator. None where it doesn't tell."""
    cpu: CpuTimes


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    load: float
    """Share of the round's capacity that was offered."""
    due_s: list[float]
    """When each of the trace's first requests was due."""
    segment: Segment


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Everything measured within minutes of each other."""

    alone: Segment
    """One request at a time."""
    saturated: Segment
    """A fixed number always under way."""
    capacity_tokens_per_second: float
    """Answered while saturated, the ramp at both ends left out."""
    replays: list[Replayed]


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    conditions: Conditions
    model: str
    engine: str
    dtype: str
    workers: int
    threads: int
    token_budget: int
    logical_cpus: int
    in_flight: int
    """Requests under way while saturated."""
    trace: list[Arrival]
    """What was sent of it."""
    counted_tokens: list[int]
    """Of its requests, as the server counted them; as planned for those that were never answered."""
    rounds: list[Round]

    @property
    def mean_tokens(self) -> float:
        """Of a request of the trace."""
        return statistics.fmean(self.counted_tokens)


def headline(report: ReplayReport) -> str:
    capacity = statistics.median(one.capacity_tokens_per_second for one in report.rounds)
    documents = statistics.fmean(len(arrival.tokens) for arrival in report.trace)
    return (
        f"{report.model}, {report.engine} {report.dtype}, {report.workers} workers on {report.logical_cpus} CPUs "
        f"({report.conditions.hardware.cpu_model})\n"
        f"{capacity / report.mean_tokens:.2f} requests/s saturated, of {documents:.1f} documents and "
        f"{report.mean_tokens:,.0f} tokens each; medians over the rounds ({len(report.rounds)})"
    )


def rows(report: ReplayReport) -> list[tuple[str, ...]]:
    """One line for each way of sending, in the order of COLUMNS; every figure is the median over the rounds."""
    cores = report.logical_cpus
    lines = [
        _row("one at a time", [one.alone for one in report.rounds], cores),
        _row(f"{report.in_flight} at a time", [one.saturated for one in report.rounds], cores),
    ]
    for replays in zip(*(sorted(one.replays, key=lambda one: one.load) for one in report.rounds), strict=True):
        lines.append(_row(f"{replays[0].load:.0%} of capacity", [replay.segment for replay in replays], cores))
    return lines


def _row(name: str, segments: Sequence[Segment], cores: int) -> tuple[str, ...]:
    def over_rounds(figure: Callable[[Segment], float]) -> float:
        return statistics.median(figure(segment) for segment in segments)

    def latency(share: float) -> str:
        return f"{over_rounds(lambda segment: percentile(segment.answers.latency_ms, share)):,.0f}"

    def cpu(seconds: Callable[[CpuTimes], float | None]) -> str:
        shares = [segment.cpu.share(seconds(segment.cpu), cores) for segment in segments]
        known = [share for share in shares if share is not None]
        return f"{statistics.median(known):.1%}" if known else "unknown"

    return (
        name,
        f"{over_rounds(lambda segment: len(segment.answers.positions)):,.0f}",
        f"{over_rounds(lambda segment: len(segment.answers.positions) / segment.cpu.wall_s):,.2f}",
        latency(0.5),
        latency(0.95),
        latency(0.99),
        f"{over_rounds(lambda segment: percentile(segment.answers.queue_ms, 0.95)):,.1f}",
        f"{over_rounds(lambda segment: segment.refused):,.0f}",
        cpu(lambda times: times.workers_s),
        cpu(lambda times: times.front_s),
        cpu(lambda times: times.generator_s),
        cpu(lambda times: times.others_s),
    )
