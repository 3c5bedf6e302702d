"""Every replay of a recorded trace predicted, and compared with what was measured.

What is predicted comes from requests that were alone and from saturation; what it is held against are the replays at
shares of the capacity, between the two, of which the prediction knows only when requests came and how large they were.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from rerank_toolkit.bench.replay_report import Replayed, ReplayReport, Round
from rerank_toolkit.contracts.profile import Hardware
from tools.validate.live_profile import find_profile, profile_capacity, profile_terms
from tools.validate.live_terms import TERMS, Server, Terms, measure_terms

Array = NDArray[np.float64]

TARGETS: dict[float, dict[int, float]] = {0.3: {50: 0.10, 95: 0.15}, 0.6: {50: 0.10, 95: 0.15}, 0.8: {95: 0.30}}
"""By load and percentile: how far a prediction may be off."""

PERCENTILES = (50, 95)
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
    foreseen_ms: float | None
    """By the model's profile, as it was known before this measurement; None without one of this kind of machine."""

    @property
    def is_met(self) -> bool:
        return self.target is None or abs(self.error) <= self.target


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """Whose the cores were under saturation, and what a request takes; medians over the rounds."""

    capacity_per_second: float
    """Requests, with the generator on the same cores."""
    capacity_without_generator: float
    """Had the generator's CPU time been the server's."""
    capacity_foreseen: float | None
    """By the profile."""
    workers_share: float | None
    front_share: float | None
    generator_share: float
    others_share: float | None
    engine_share: float
    """Measured capacity over that of the law alone."""
    generator_ms: float
    """CPU of a request."""
    law: list[float]
    """Seconds per pass, sequence, token and squared token."""
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
    terms = [measure_terms(server, taken, in_flight=report.in_flight) for taken in report.rounds]
    foreseen = _Foreseen.of(report, server)
    compared = []
    for replays in zip(*(sorted(taken.replays, key=lambda one: one.load) for taken in report.rounds), strict=True):
        predicted = [predict(server, own, one, load=one.load) for own, one in zip(terms, replays, strict=True)]
        beforehand = [foreseen.predict(*pair) for pair in zip(report.rounds, replays, strict=True)] if foreseen else []
        compared += [_compare(replays, predicted, beforehand, percentile) for percentile in PERCENTILES]
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
        accounts=_accounts(report, terms, foreseen),
    )


def predict(server: Server, terms: Terms, replayed: Replayed, *, load: float) -> Array:
    """Seconds of each request of the replay, in each of REPETITIONS: (repetitions, requests).

    load: the share of the capacity that is offered, as far as `terms` know the capacity.
    """
    rng = np.random.default_rng(SEED)
    due = np.asarray(replayed.due_s)
    positions = range(len(due))
    tokens = server.tokens(positions)
    repetitions = []
    for _ in range(REPETITIONS):
        around = terms.around(tokens, busy=rng.random(len(due)) < load)
        noise = rng.choice(terms.batches.residuals, NOISE)
        answered = server.serve(due + around, positions, terms.batch_law, noise=noise)
        repetitions.append(answered + terms.wake_s - due)
    return np.array(repetitions)


class _Foreseen(msgspec.Struct, frozen=True):
    """The same by the model's profile alone."""

    server: Server
    terms: Terms
    capacity: float
    """Tokens a second of the trace."""

    @classmethod
    def of(cls, report: ReplayReport, server: Server) -> _Foreseen | None:
        profiled = find_profile(report)
        if profiled is None:
            return None
        terms = profile_terms(profiled)
        return cls(server, terms, profile_capacity(server, terms, in_flight=report.in_flight))

    def predict(self, taken: Round, replayed: Replayed) -> Array:
        load = replayed.load * taken.capacity_tokens_per_second / self.capacity
        return predict(self.server, self.terms, replayed, load=min(load, 1.0))


def _compare(
    replays: Sequence[Replayed], predicted: Sequence[Array], foreseen: Sequence[Array], percentile: int
) -> Compared:
    def over_rounds(seconds: Sequence[Array]) -> float:
        return statistics.median(float(np.percentile(one, percentile)) for one in seconds)

    load = replays[0].load
    measured = over_rounds([np.array(replayed.segment.answers.latency_ms) / 1e3 for replayed in replays])
    return Compared(
        load=load,
        percentile=percentile,
        requests=len(replays[0].due_s),
        measured_ms=round(measured * 1e3, 1),
        predicted_ms=round(over_rounds(predicted) * 1e3, 1),
        error=round(over_rounds(predicted) / measured - 1, 4),
        target=TARGETS.get(load, {}).get(percentile),
        foreseen_ms=round(over_rounds(foreseen) * 1e3, 1) if foreseen else None,
    )


def _accounts(report: ReplayReport, terms: Sequence[Terms], foreseen: _Foreseen | None) -> Accounts:
    def share(seconds: Callable[[Round], float | None]) -> float | None:
        """Of the cores' time under saturation."""
        shares = [taken.saturated.cpu.share(seconds(taken), report.logical_cpus) for taken in report.rounds]
        known = [one for one in shares if one is not None]
        return round(statistics.median(known), 4) if known else None

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
        capacity_foreseen=round(foreseen.capacity / mean, 3) if foreseen else None,
        workers_share=share(lambda taken: taken.saturated.cpu.workers_s),
        front_share=share(lambda taken: taken.saturated.cpu.front_s),
        generator_share=share(lambda taken: taken.saturated.cpu.generator_s) or 0.0,
        others_share=share(lambda taken: taken.saturated.cpu.others_s),
        engine_share=round(statistics.median(own.engine_share for own in terms), 4),
        generator_ms=round(generator * 1e3, 2),
        law=law.tolist(),
        law_error=round(statistics.median(own.batches.law.error for own in terms), 4),
        around_ms=round(statistics.median(around) * 1e3, 2),
        stretch=round(statistics.median(own.stretch for own in terms), 2),
        wake_ms=round(statistics.median(own.wake_s for own in terms) * 1e3, 2),
    )
