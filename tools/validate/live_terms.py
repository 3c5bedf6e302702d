"""What a prediction of a live server stands on: the terms of its time, each from a measurement of the same minutes.

    latency = around + wake + (queue and compute, by the container's policy in virtual time)

* A pass takes a + b · sequences + c · tokens + d · Σ tokens² seconds, padding included. The server tells how long
  batches of a request were in compute; alone on the machine, that is the time of the engine that ends last, and which
  batches that one had follows from the policy. So the law is fitted to sums over those batches, by non-negative least
  squares on relative residuals, again with the batches that the new law gives, until they stay.
* Around is the rest of the latency of a request that is alone: HTTP, JSON, tokenising and the generator's own part.
  Under saturation it is `stretch` times as much, as measured there. A request meets a busy server as often as the
  server is busy (Poisson arrivals see time averages: Wolff 1982).
* Wake is what a lone request waits in an empty queue, until an engine's thread runs.
* Tokenising, HTTP and the generator compute on the engines' cores. Saturated, the engines did `engine_share` of the
  work that the law alone would let them do; the rest of the time was those others'. So a batch takes so much longer
  where other requests are on the server, as it does in the cost model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_model.service_time.law import Law, solve
from cost_model.service_time.saturation import load_among_others
from cost_model.simulate.policy import BatchLaw, Policy, Served, serve
from cost_model.simulate.traffic import Traffic, work_of
from rerank_toolkit.bench.replay_report import Answers, ReplayReport, Round
from rerank_toolkit.bench.trace import Arrival
from rerank_toolkit.catalog.models import load_models

Array = NDArray[np.float64]

MOST_FITS = 10
TERMS = ("per_pass", "per_sequence", "per_token", "per_squared_token")

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
    padded: bool
    """Whether its engine pads the documents of a pass."""

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
        return cls(policy, lengths, work, padded=report.engine == "openvino")

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

    def fastest(self, law: Law, positions: Sequence[int], *, in_flight: int) -> float:
        """Tokens a second while so many of these requests are always under way and nobody else is on the machine."""
        requests = tuple(tuple(self.lengths[position].tolist()) for position in positions)
        engines = self.policy.engines
        load = load_among_others(
            law, requests, engines=engines, in_flight=in_flight, token_budget=self.policy.token_budget
        )
        of_document = float(self.tokens(positions).sum()) / sum(map(len, requests))
        return of_document * engines / law.seconds(load)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A law, and what it was fitted to."""

    law: Law
    residuals: Array
    """(requests,), measured over fitted."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Of one round."""

    batches: Fitted
    stretch: float
    wake_s: float
    engine_share: float

    @property
    def batch_law(self) -> BatchLaw:
        return BatchLaw.of(self.batches.law, self.engine_share)

    def around(self, tokens: Array, *, busy: NDArray[np.bool_]) -> Array:
        """Seconds of requests outside queue and compute, (requests,), of so many tokens, on a server that is busy
        with others or isn't."""
        law = self.batches.law
        alone = law.around_per_request + law.around_per_token * tokens
        return np.asarray(alone * np.where(busy, self.stretch, 1.0))


def measure_terms(server: Server, taken: Round, *, in_flight: int) -> Terms:
    alone, saturated = taken.alone.answers, taken.saturated.answers
    batches = fit_batches(server, alone)
    around = np.array([batches.law.around_seconds(tokens) for tokens in server.tokens(saturated.positions)])
    fastest = server.fastest(batches.law, saturated.positions, in_flight=in_flight)
    return Terms(
        batches=batches,
        stretch=float(np.median(_around_s(saturated) / around)),
        wake_s=float(np.median(alone.queue_ms)) / 1e3,
        engine_share=taken.capacity_tokens_per_second / fastest,
    )


def fit_batches(server: Server, alone: Answers) -> Fitted:
    """The law under which requests that were alone took as long as they did."""
    positions, inference_s = alone.positions, np.asarray(alone.inference_ms) / 1e3
    traffic = server.traffic(np.linspace(0, APART_S * len(positions), len(positions)), positions)
    law = BatchLaw(per_token=1e-6, padded=server.padded)
    features, errors = np.zeros((len(positions), len(TERMS))), np.zeros(len(positions))
    for _ in range(MOST_FITS):
        last = features
        features = _last_engines(traffic, serve(traffic, law, server.policy, keep_batches=True))
        if np.array_equal(features, last):
            break
        found, errors = solve(features, inference_s)
        law = BatchLaw(**dict(zip(TERMS, found.tolist(), strict=True)), padded=server.padded)
    tokens = server.tokens(positions)
    around, _ = solve(np.column_stack([np.ones(len(tokens)), tokens]), _around_s(alone))
    fitted = Law(
        **{term: getattr(law, term) for term in TERMS},
        around_per_request=float(around[0]),
        around_per_token=float(around[1]),
        error=float(np.sqrt(np.mean(errors**2))),
        padded=server.padded,
    )
    return Fitted(fitted, 1 / (1 + errors))


def _last_engines(traffic: Traffic, served: Served) -> Array:
    """What the engine that ended last with each request computed of it: (requests, 4)."""
    of_batch = np.column_stack(
        [served.log[name].astype(float) for name in ("passes", "documents", "computed_tokens", "squared_tokens")]
    )
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


def _around_s(answers: Answers) -> Array:
    parts = np.array([answers.latency_ms, answers.queue_ms, answers.inference_ms])
    return np.asarray(np.maximum(parts[0] - parts[1] - parts[2], 0.01) / 1e3)


def _counted(arrival: Arrival, tokens: int) -> NDArray[np.int64]:
    """The request's lengths, so that their sum is `tokens`: texts have only about the tokens that were wanted."""
    wanted = np.array(arrival.tokens)
    return np.asarray(np.maximum(1, np.rint(wanted * tokens / wanted.sum())), dtype=np.int64)
