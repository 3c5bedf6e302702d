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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_model.service_time.law import solve
from cost_model.simulate.policy import BatchLaw, Policy, Served, serve
from cost_model.simulate.traffic import Traffic, work_of
from rerank_toolkit.bench.replay_report import Answers, ReplayReport, Round
from rerank_toolkit.bench.trace import Arrival
from rerank_toolkit.catalog.models import load_models

Array = NDArray[np.float64]

MOST_FITS = 10
TERMS = ("per_batch", "per_sequence", "per_token", "per_squared_token")

APART_S = 1e4
"""Between requests that are to be alone."""


@dataclass(frozen=True, slots=True)
class Server:
    """What is known of the server before it is measured."""

    policy: Policy
    lengths: Mapping[int, NDArray[np.int64]]
    """Tokens of the documents of the trace's requests, by their position, as the server counted them."""
    work: Mapping[int, Array]
    """Of the same documents."""

    @classmethod
    def of(cls, report: ReplayReport) -> Server:
        # Nothing was refused at these loads, so nothing may be here.
        policy = Policy(
            engines=report.workers, token_budget=report.token_budget, max_queued_tokens=2**62, time_limit_s=math.inf
        )
        model = load_models().get(report.model)
        requests = enumerate(zip(report.trace, report.counted_tokens, strict=True))
        lengths = {position: _counted(arrival, tokens) for position, (arrival, tokens) in requests}
        work = {
            position: work_of(model.shape)(own) if model else own.astype(float) for position, own in lengths.items()
        }
        return cls(policy, lengths, work)

    def tokens(self, positions: Sequence[int]) -> Array:
        """Of whole requests, (requests,)."""
        return np.array([self.lengths[position].sum() for position in positions], dtype=float)

    def traffic(self, arrivals: Array, positions: Sequence[int]) -> Traffic:
        """The trace's requests `positions` at `arrivals`, which are sorted."""
        sizes = [len(self.lengths[position]) for position in positions]
        return Traffic(
            arrivals=arrivals,
            offsets=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]),
            tokens=np.concatenate([self.lengths[position] for position in positions]),
            work=np.concatenate([self.work[position] for position in positions]),
        )

    def serve(self, admitted: Array, positions: Sequence[int], law: BatchLaw, *, noise: Array | None = None) -> Array:
        """When each request has its scores that is admitted at `admitted`, (requests,), in any order."""
        order = np.argsort(admitted, kind="stable")
        traffic = self.traffic(admitted[order], [positions[at] for at in order])
        answered = np.empty(len(admitted))
        answered[order] = serve(traffic, law, self.policy, noise=noise).answered
        return answered

    def fastest(self, law: BatchLaw, positions: Sequence[int]) -> float:
        """Tokens a second, all these requests there from the start and nobody else on the machine."""
        answered = self.serve(np.zeros(len(positions)), positions, law)
        return float(self.tokens(positions).sum() / answered.max())


@dataclass(frozen=True, slots=True)
class Fitted:
    """A law, and what it was fitted to."""

    law: BatchLaw
    residuals: Array
    """(requests,), measured over fitted."""

    @property
    def error(self) -> float:
        """Root mean square of the relative residuals."""
        return float(np.sqrt(np.mean((self.residuals - 1) ** 2)))


@dataclass(frozen=True, slots=True)
class Terms:
    """Of one round."""

    batches: Fitted
    around_s: Array
    """(2,): per request, per token, alone on the machine."""
    stretch: float
    wake_s: float
    engine_share: float

    def around(self, tokens: Array, *, busy: NDArray[np.bool_]) -> Array:
        """Seconds of requests outside queue and compute, (requests,), of so many tokens, on a server that is busy
        with others or isn't."""
        return np.asarray(_ones_and(tokens) @ self.around_s * np.where(busy, self.stretch, 1.0))

    def engine_speed(self, load: float) -> float:
        """Of an engine that is busy, over its speed with nobody else on the machine."""
        return 1 - load * (1 - self.engine_share)


def measure_terms(server: Server, taken: Round) -> Terms:
    alone, saturated = taken.alone.answers, taken.saturated.answers
    batches = fit_batches(server, alone.positions, np.asarray(alone.inference_ms) / 1e3)
    around, _ = solve(_ones_and(server.tokens(alone.positions)), _around_s(alone))
    stretched = _around_s(saturated) / (_ones_and(server.tokens(saturated.positions)) @ around)
    return Terms(
        batches=batches,
        around_s=around,
        stretch=float(np.median(stretched)),
        wake_s=float(np.median(alone.queue_ms)) / 1e3,
        engine_share=taken.capacity_tokens_per_second / server.fastest(batches.law, saturated.positions),
    )


def fit_batches(server: Server, positions: Sequence[int], inference_s: Array) -> Fitted:
    """The law of batches under which requests that were alone were in compute for `inference_s`, (requests,)."""
    traffic = server.traffic(np.linspace(0, APART_S * len(positions), len(positions)), positions)
    law = BatchLaw(per_token=1e-6)
    features, errors = np.zeros((len(positions), len(TERMS))), np.zeros(len(positions))
    for _ in range(MOST_FITS):
        last = features
        features = _last_engines(traffic, serve(traffic, law, server.policy, keep_batches=True))
        if np.array_equal(features, last):
            break
        found, errors = solve(features, inference_s)
        law = BatchLaw(**dict(zip(TERMS, found.tolist(), strict=True)))
    return Fitted(law, 1 / (1 + errors))


def _last_engines(traffic: Traffic, served: Served) -> Array:
    """Features of the batches of the engine that ended last with each request, summed: (requests, 4)."""
    tokens = traffic.tokens.astype(float)
    sums = [np.bincount(served.batch, weights=tokens**power, minlength=served.batches) for power in (0, 1, 2)]
    of_batch = np.column_stack([np.ones(served.batches), *sums])
    request = np.empty(served.batches, dtype=np.int64)
    request[served.batch] = traffic.request_of_document
    engine, end = served.log["engine"], served.log["end"]
    in_order = np.argsort(end, kind="stable")
    last_engine = np.empty(len(traffic.arrivals), dtype=np.int64)
    last_engine[request[in_order]] = engine[in_order]  # the last that is written stays
    is_last = engine == last_engine[request]
    features = np.zeros((len(traffic.arrivals), 4))
    np.add.at(features, request[is_last], of_batch[is_last])
    return features


def _ones_and(tokens: Array) -> Array:
    return np.column_stack([np.ones(len(tokens)), tokens])


def _around_s(answers: Answers) -> Array:
    parts = np.array([answers.latency_ms, answers.queue_ms, answers.inference_ms])
    return np.asarray(np.maximum(parts[0] - parts[1] - parts[2], 0.01) / 1e3)


def _counted(arrival: Arrival, tokens: int) -> NDArray[np.int64]:
    """The request's lengths, so that their sum is `tokens`: texts have only about the tokens that were wanted."""
    wanted = np.array(arrival.tokens)
    return np.asarray(np.maximum(1, np.rint(wanted * tokens / wanted.sum())), dtype=np.int64)
