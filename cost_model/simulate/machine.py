"""One machine that serves: its policy, how long its batches take, and what a request spends around them."""

from __future__ import annotations

import math
import statistics

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.gpu import TOKEN_BUDGET as GPU_TOKEN_BUDGET
from cost_model.options import Candidate
from cost_model.simulate.policy import CONTAINER, BatchLaw, Policy, Served, serve
from cost_model.simulate.traffic import Demand, Traffic, draw_traffic, work_of
from cost_model.workload import Workload
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.profile import Profile

Array = NDArray[np.float64]

NOISE_DRAWS = 4096
"""Factors of batches are drawn once and taken in turn."""

FAR_APART_S = 1e6

CROWDED = 0.9
"""Of its time a machine is busy with so many requests that others are nearly always there."""

Z_95 = 1.6449
"""The standard normal distribution's 95th percentile."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    law: BatchLaw
    policy: Policy
    around_per_request: float = 0.0
    """Seconds beyond queue and compute: transport, parsing, tokenising."""
    around_per_token: float = 0.0
    max_tokens: float = math.inf
    """What the model reads of a document."""
    shape: Shape | None = None
    """Of the model, for the work that the policy counts; None: in proportion to tokens."""
    noise: float = 0.0
    """Deviation of the logarithm of a batch's seconds about the law."""

    @classmethod
    def of(cls, candidate: Candidate, workload: Workload, *, time_limit_s: float = CONTAINER.time_limit_s) -> Machine:
        """As the candidate's speed is known: by the law of its batches, or, on a GPU that no profile is of, with the
        mean time of the workload's request spread over its tokens."""
        scaled, profile = candidate.scaled, candidate.speed.measured.profile
        measured = candidate.speed.measured.law
        if scaled.law:
            law = BatchLaw.of(scaled.law, scaled.engine_share)
            token_budget = profile.token_budget
        else:
            moments = candidate.speed.moments
            tokens = workload.documents_per_request * workload.length_moments(candidate.model.max_tokens)[1]
            law = BatchLaw(per_token=moments.compute_s * scaled.ratio / tokens)
            token_budget = GPU_TOKEN_BUDGET
        return cls(
            law=law,
            policy=Policy(engines=scaled.engines, token_budget=token_budget, time_limit_s=time_limit_s),
            around_per_request=measured.around_per_request,
            around_per_token=measured.around_per_token,
            max_tokens=candidate.model.max_tokens,
            shape=candidate.model.shape,
            noise=measured_noise(profile),
        )

    def draw(self, demand: Demand, rng: np.random.Generator, arrivals: Array) -> Traffic:
        work = work_of(self.shape) if self.shape else None
        return draw_traffic(demand, rng, arrivals, max_tokens=self.max_tokens, work=work)

    def draw_noise(self, seed: int) -> Array:
        """(draws,), of mean 1."""
        if not self.noise:
            return np.ones(1)
        return np.random.default_rng(seed).lognormal(-(self.noise**2) / 2, self.noise, NOISE_DRAWS)

    def around(self, traffic: Traffic) -> Array:
        """(n,), seconds of each request beyond queue and compute."""
        return np.asarray(self.around_per_request + self.around_per_token * traffic.tokens_of_request)

    def alone(self, traffic: Traffic, *, seed: int = 0) -> Array:
        """(n,), compute seconds of each request that has the machine to itself."""
        apart = _far_apart(traffic)
        return self._served(traffic.at(apart), seed).answered - apart

    def busy(self, traffic: Traffic, rng: np.random.Generator, *, seed: int = 0) -> float:
        """Seconds that a request keeps the whole machine busy, on average, where others are nearly always there: its
        engines' time over their number."""
        seconds = float(self._served(traffic.at(_far_apart(traffic)), seed).busy.mean())
        gaps = rng.exponential(seconds / len(traffic.arrivals) / CROWDED, len(traffic.arrivals))
        return float(self._served(traffic.at(np.cumsum(gaps)), seed).busy.mean()) / len(traffic.arrivals)

    def _served(self, traffic: Traffic, seed: int) -> Served:
        """Without refusals."""
        endless = msgspec.structs.replace(self.policy, time_limit_s=math.inf, max_queued_tokens=2**62)
        return serve(traffic, self.law, endless, noise=self.draw_noise(seed))


def _far_apart(traffic: Traffic) -> Array:
    return np.arange(len(traffic.arrivals), dtype=np.float64) * FAR_APART_S


def measured_noise(profile: Profile) -> float:
    """Deviation of the logarithm of a lone request's latency, sent again and again: from the 95th percentile over the
    median, the median of the cells. What a cell's few samples can't tell apart counts as nothing."""
    spreads = [math.log(cell.latency_p95_ms / cell.latency_ms) / Z_95 for cell in profile.cells if cell.samples > 1]
    return max(statistics.median(spreads), 0.0) if spreads else 0.0
