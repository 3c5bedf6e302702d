"""Predicted beside measured: one trace replayed against the real container, and against its policy in virtual time.

    rerank bench replay --start artifacts/… --out benchmarks/replay.json      (on a machine that does nothing else)
    python -m tools.validate.live

What is predicted comes from requests that were alone and from saturation; what it is held against are the replays at
shares of the capacity, between the two, of which the prediction knows only when requests came and how large they were.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rerank_toolkit.bench.replay_report import Replayed, ReplayReport, Round
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.profile import Hardware
from tools.reference import markdown
from tools.validate.live_terms import TERMS, Server, Terms, measure_terms

Array = NDArray[np.float64]

MEASURED = Path("benchmarks/replay.json")
COMPARED = Path("benchmarks/live.json")

TARGETS: dict[float, dict[int, float]] = {0.3: {50: 0.10, 95: 0.15}, 0.6: {50: 0.10, 95: 0.15}, 0.8: {95: 0.30}}
"""By load and percentile: how far a prediction may be off."""

PERCENTILES = (50, 95)
HEADS = ("load", "requests", "percentile", "measured ms", "predicted ms", "error", "at most", "target")

REPETITIONS = 20
"""Of each replay in virtual time, with other draws of the noise."""
SEED = 0
NOISE = 4096
"""Factors of batches that are drawn for a repetition."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One percentile at one load; medians over the rounds."""

    load: float
    percentile: int
    requests: int
    measured_ms: float
    predicted_ms: float
    error: float
    """Predicted over measured, minus 1."""
    target: float | None
    """How far it may be off; None where nothing was promised."""

    @property
    def is_met(self) -> bool:
        return self.target is None or abs(self.error) <= self.target


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """Whose the cores were under saturation, and what a request takes; medians over the rounds."""

    capacity_per_second: float
    """Requests, with the generator on the same cores."""
    capacity_without_generator: float
    """Had the generator's CPU time been the server's."""
    workers_share: float | None
    front_share: float | None
    generator_share: float
    others_share: float | None
    engine_share: float
    """Measured capacity over that of the law of batches alone: what the model takes for the workers' share."""
    generator_ms: float
    """CPU of a request."""
    law: list[float]
    """Seconds per batch, sequence, token and squared token."""
    law_error: float
    around_ms: float
    """Of the trace's mean request, alone."""
    stretch: float
    """Of that, under saturation."""
    wake_ms: float


class LiveValidation(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    measured_at: datetime
    hardware: Hardware
    model: str
    engine: str
    dtype: str
    workers: int
    workload: str
    rounds: int
    compared: list[Compared]
    accounts: Accounts

    @property
    def are_all_met(self) -> bool:
        return all(one.is_met for one in self.compared)


def validate(report: ReplayReport) -> LiveValidation:
    """Predicts every replay of the report, and compares."""
    server = Server.of(report)
    terms = [measure_terms(server, taken) for taken in report.rounds]
    compared = []
    for index, replay in enumerate(report.rounds[0].replays):
        replays = [taken.replays[index] for taken in report.rounds]
        predicted = [predict(server, own, replayed) for own, replayed in zip(terms, replays, strict=True)]
        compared += [_compare(replays, predicted, replay.load, percentile) for percentile in PERCENTILES]
    return LiveValidation(
        measured_at=report.conditions.measured_at,
        hardware=report.conditions.hardware,
        model=report.model,
        engine=report.engine,
        dtype=report.dtype,
        workers=report.workers,
        workload=report.conditions.workload,
        rounds=len(report.rounds),
        compared=compared,
        accounts=_accounts(report, terms),
    )


def predict(server: Server, terms: Terms, replayed: Replayed) -> Array:
    """Seconds of each request of the replay, in each of REPETITIONS: (repetitions, requests)."""
    rng = np.random.default_rng(SEED)
    due = np.asarray(replayed.due_s)
    positions = range(len(due))
    tokens = server.tokens(positions)
    repetitions = []
    for _ in range(REPETITIONS):
        around = terms.around(tokens, busy=rng.random(len(due)) < replayed.load)
        noise = rng.choice(terms.batches.residuals, NOISE) / terms.engine_speed(replayed.load)
        answered = server.serve(due + around, positions, terms.batches.law, noise=noise)
        repetitions.append(answered + terms.wake_s - due)
    return np.array(repetitions)


def _row(one: Compared) -> list[str]:
    verdict = "" if one.target is None else "met" if one.is_met else "missed"
    return [
        f"{one.load:.0%}",
        f"{one.requests:,}",
        f"p{one.percentile}",
        f"{one.measured_ms:,.0f}",
        f"{one.predicted_ms:,.0f}",
        f"{one.error:+.1%}",
        "" if one.target is None else f"±{one.target:.0%}",
        verdict,
    ]


def section(folder: Path) -> str:
    """What docs/validation.md says of it, from the replay recorded in `folder`."""
    path = folder / MEASURED.name
    if not path.is_file():
        return "Not measured yet: `rerank bench replay` does it."
    return page(validate(documents.read(path, ReplayReport)))


def page(found: LiveValidation) -> str:
    hardware, accounts = found.hardware, found.accounts
    a, b, c, d = accounts.law
    parts = [
        f"{found.model}, {found.engine} {found.dtype}, {found.workers} workers on {hardware.cpu_model} "
        f"({hardware.instruction_set}), {hardware.physical_cores} cores, measured on {found.measured_at:%Y-%m-%d}; "
        f"{found.workload}. Medians of {found.rounds} rounds, each of which measures what the prediction stands on "
        "and what it is held against.",
        markdown.table(HEADS, map(_row, found.compared)),
        f"Saturated, {accounts.capacity_per_second:.2f} requests/s were answered. Of the cores' time the workers had "
        f"{_percent(accounts.workers_share)}, the front (HTTP, JSON, tokenising, batching) "
        f"{_percent(accounts.front_share)}, the load generator {_percent(accounts.generator_share)} "
        f"({accounts.generator_ms:.1f} ms a request), everybody else {_percent(accounts.others_share)}. The law of "
        f"batches puts the workers' share at {accounts.engine_share:.1%}. Without the generator on these cores it "
        f"would be {accounts.capacity_without_generator:.2f} requests/s.",
        f"A batch takes {a * 1e3:.2f} ms, {b * 1e3:.3f} ms a sequence, {c * 1e6:.1f} µs a token and {d * 1e9:.1f} ns "
        f"a squared token (error {accounts.law_error:.1%} a request); around it a request of the mean size "
        f"takes {accounts.around_ms:.1f} ms alone, {accounts.stretch:.1f} times that under saturation, and waits "
        f"{accounts.wake_ms:.1f} ms for an engine's thread to run.",
    ]
    return markdown.join(*parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.validate.live", description="A replayed trace, predicted beside measured."
    )
    parser.add_argument("--replay", type=Path, default=MEASURED, help="what `rerank bench replay --out` wrote")
    parser.add_argument("--out", type=Path, default=COMPARED, help="where the comparison is written to")
    options = parser.parse_args(arguments)
    try:
        found = validate(documents.read(options.replay, ReplayReport))
        documents.write(options.out, found)
    except ToolkitError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(page(found), end="")
    print(f"wrote {options.out}", file=sys.stderr)
    return 0 if found.are_all_met else 1


def _compare(replays: Sequence[Replayed], predicted: Sequence[Array], load: float, percentile: int) -> Compared:
    measured = [float(np.percentile(replayed.segment.answers.latency_ms, percentile)) for replayed in replays]
    foretold = [float(np.percentile(seconds, percentile)) * 1e3 for seconds in predicted]
    measured_ms, predicted_ms = statistics.median(measured), statistics.median(foretold)
    return Compared(
        load=load,
        percentile=percentile,
        requests=len(replays[0].due_s),
        measured_ms=round(measured_ms, 1),
        predicted_ms=round(predicted_ms, 1),
        error=round(predicted_ms / measured_ms - 1, 4),
        target=TARGETS.get(load, {}).get(percentile),
    )


def _accounts(report: ReplayReport, terms: Sequence[Terms]) -> Accounts:
    def over_rounds(figure: Callable[[Round], float | None]) -> float | None:
        figures = [figure(taken) for taken in report.rounds]
        known = [one for one in figures if one is not None]
        return statistics.median(known) if known else None

    def share(seconds: Callable[[Round], float | None]) -> float | None:
        cores = report.logical_cpus
        return over_rounds(lambda taken: taken.saturated.cpu.share(seconds(taken), cores))

    mean = report.mean_tokens
    around = [own.around(np.array([mean]), busy=np.array([False])).item() for own in terms]
    capacity = statistics.median(taken.capacity_tokens_per_second for taken in report.rounds) / mean
    generator = statistics.median(
        taken.saturated.cpu.generator_s / len(taken.saturated.answers.positions) for taken in report.rounds
    )
    law = np.median([[getattr(own.batches.law, name) for name in TERMS] for own in terms], axis=0)
    return Accounts(
        capacity_per_second=round(capacity, 3),
        capacity_without_generator=round(1 / (1 / capacity - generator / report.logical_cpus), 3),
        workers_share=share(lambda taken: taken.saturated.cpu.workers_s),
        front_share=share(lambda taken: taken.saturated.cpu.front_s),
        generator_share=share(lambda taken: taken.saturated.cpu.generator_s) or 0.0,
        others_share=share(lambda taken: taken.saturated.cpu.others_s),
        engine_share=round(statistics.median(own.engine_share for own in terms), 4),
        generator_ms=round(generator * 1e3, 2),
        law=[float(coefficient) for coefficient in law],
        law_error=round(statistics.median(own.batches.error for own in terms), 4),
        around_ms=round(statistics.median(around) * 1e3, 2),
        stretch=round(statistics.median(own.stretch for own in terms), 2),
        wake_ms=round(statistics.median(own.wake_s for own in terms) * 1e3, 2),
    )


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{share:.1%}"


if __name__ == "__main__":
    sys.exit(main())
