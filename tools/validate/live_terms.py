"""What a prediction of a live server stands on: the terms of its time, each from a measurement of the same minutes.

    latency = around + wake + (queue and compute, by the container's policy in virtual time)

* A batch takes a + b · sequences + c · tokens + d · Σ tokens² seconds. The server tells how long batches of a request
  were in compute; alone on the machine, that is the time of the engine that ends last, and which batches that one had
  follows from the policy. So the law is fitted to sums over those batches, by non-negative least squares on relative
  residuals, again with the batches that the new law gives, until they stay.
* Around is the rest of the latency of a request that is alone: HTTP, JSON, tokenising and the generator's own part.
  Under saturation it is `stretch` times as much, as measured there. A request meets a busy server as often as the
  server is busy (Poisson arrivals see time averages: Wolff 1982).
* Wake is what a lone request waits in an empty queue, until an engine's thread runs.
* Tokenising, HTTP and the generator compute on the engines' cores. Saturated, the engines did `engine_share` of the
  work that the law alone would let them do; the rest of the time was those others', and came in proportion to the
  requests. So at a load u engines that are busy proceed at 1 - u (1 - engine_share).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from rerank_toolkit.bench.replay_report import Answers, ReplayReport, Round, Segment
from rerank_toolkit.catalog.models import load_models
from rerank_toolkit.catalog.shapes import flops
from tools.validate.virtual_time import Lengths, Served, serve

Array = NDArray[np.float64]

MOST_FITS = 10
APART_S = 1e6
"""Between requests that are to be alone."""


@dataclass(frozen=True, slots=True)
class Server:
    """What is known of the server before it is measured."""

    engines: int
    token_budget: int
    work: Callable[[int], float]
    lengths: Mapping[int, Lengths]
    """Of the trace's requests by their position, as the server counted them."""

    @classmethod
    def of(cls, report: ReplayReport) -> Server:
        model = load_models().get(report.model)

        def work(tokens: int) -> float:
            return flops(model.shape, tokens) if model else tokens  # of a model in no catalogue, nearly

        return cls(report.workers, report.token_budget, work, _counted(report))

    def serve(self, arrivals: Sequence[float], positions: Sequence[int], seconds: Callable[[Lengths], float]) -> Served:
        lengths = [self.lengths[position] for position in positions]
        return serve(arrivals, lengths, self.work, seconds, engines=self.engines, token_budget=self.token_budget)


@dataclass(frozen=True, slots=True)
class BatchLaw:
    """Seconds of a batch."""

    coefficients: Array
    """(4,): per batch, per sequence, per token, per squared token."""
    residuals: Array
    """Measured over fitted, one for each request."""

    def seconds(self, lengths: Lengths) -> float:
        return float(self.coefficients @ _features(lengths))

    @property
    def error(self) -> float:
        """Root mean square of the relative residuals."""
        return float(np.sqrt(np.mean((self.residuals - 1) ** 2)))


@dataclass(frozen=True, slots=True)
class Terms:
    """Of one round."""

    law: BatchLaw
    around_s: Array
    """(2,): per request, per token, alone on the machine."""
    stretch: float
    wake_s: float
    engine_share: float

    def around(self, tokens: float, *, busy: bool) -> float:
        """Seconds of a request outside queue and compute."""
        return float(self.around_s @ [1.0, tokens]) * (self.stretch if busy else 1.0)

    def engine_speed(self, load: float) -> float:
        """Of an engine that is busy, over its speed with nobody else on the machine."""
        return 1 - load * (1 - self.engine_share)


def measure_terms(server: Server, taken: Round) -> Terms:
    alone, saturated = taken.alone.answers, taken.saturated.answers
    law = fit_batches(server, alone.positions, np.asarray(alone.inference_ms) / 1e3)
    around, _ = _relative_fit(np.column_stack([np.ones(len(alone.tokens)), alone.tokens]), _around_s(alone))
    stretched = _around_s(saturated) / (np.column_stack([np.ones(len(saturated.tokens)), saturated.tokens]) @ around)
    by_law = server.serve([0.0] * len(saturated.positions), saturated.positions, law.seconds)
    fastest = sum(saturated.tokens) / max(by_law.answered)
    return Terms(
        law=law,
        around_s=around,
        stretch=float(np.median(stretched)),
        wake_s=float(np.median(alone.queue_ms)) / 1e3,
        engine_share=taken.capacity_tokens_per_second / fastest,
    )


def fit_batches(server: Server, positions: Sequence[int], inference_s: Array) -> BatchLaw:
    """The law of batches under which requests that were alone were in compute for `inference_s`, (requests,)."""
    coefficients = np.array([0.0, 0.0, 1.0, 0.0])
    features = np.zeros((len(positions), 4))
    for _ in range(MOST_FITS):
        last = features
        features = np.array([_last_engines(server, position, coefficients) for position in positions])
        if np.array_equal(features, last):
            break
        coefficients, fitted = _relative_fit(features, inference_s)
    return BatchLaw(coefficients, inference_s / fitted)


def _last_engines(server: Server, position: int, coefficients: Array) -> Array:
    """Features of the batches of the engine that ends last, summed, (4,)."""
    law = BatchLaw(coefficients, np.ones(1))
    runs = server.serve([0.0], [position], law.seconds).runs
    last = max(runs, key=lambda run: run.end).engine
    features: Array = np.array([_features(run.lengths) for run in runs if run.engine == last]).sum(axis=0)
    return features


def _features(lengths: Lengths) -> list[float]:
    return [1.0, len(lengths), sum(lengths), sum(length * length for length in lengths)]


def _relative_fit(features: Array, seconds: Array) -> tuple[Array, Array]:
    """Non-negative coefficients with the least squares of fitted over measured, minus 1; and what they give."""
    weighted = features / seconds[:, None]
    scale = np.abs(weighted).max(axis=0)
    scale[scale == 0] = 1.0
    solution, _ = nnls(weighted / scale, np.ones(len(seconds)))
    coefficients = solution / scale
    return coefficients, features @ coefficients


def _around_s(answers: Answers) -> Array:
    parts = np.array([answers.latency_ms, answers.queue_ms, answers.inference_ms])
    return np.asarray(np.maximum(parts[0] - parts[1] - parts[2], 0.01) / 1e3)


def _counted(report: ReplayReport) -> dict[int, Lengths]:
    """The trace's lengths, so that their sum is what the server counted: texts have only about the wanted tokens."""
    counted: dict[int, int] = {}
    for taken in report.rounds:
        segments: list[Segment] = [taken.alone, taken.saturated, *(replay.segment for replay in taken.replays)]
        for segment in segments:
            counted.update(zip(segment.answers.positions, segment.answers.tokens, strict=True))
    lengths: dict[int, Lengths] = {}
    for position, arrival in enumerate(report.trace):
        ratio = counted.get(position, arrival.total_tokens) / arrival.total_tokens
        lengths[position] = [max(1, round(tokens * ratio)) for tokens in arrival.tokens]
    return lengths
