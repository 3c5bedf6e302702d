"""A workload's request under a law: mean and spread of its seconds."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import fmean, pstdev

import msgspec

from cost_model.service_time.law import Law
from cost_model.service_time.layout import lay_out
from cost_model.service_time.lengths import longest_lengths, typical_requests
from cost_model.service_time.passes import Load
from cost_model.service_time.saturation import saturated_load
from cost_model.workload import Workload

MOST_LAID_OUT = 128
"""Documents of a request. What engines lose at its end, when little is left to share out, is no more with more."""

MANY = 40
"""Requests that tell how much their longest documents differ."""


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """Compute of a workload's request that has a server to itself, in seconds."""

    mean_s: float
    deviation_s: float
    """Standard deviation, from the spread of the lengths and of the documents' number."""


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """A workload's request under a law, in seconds on the measured machine."""

    compute_s: float
    """Mean of what scales with the processor: the compute of a request's batches, spread over all engines."""
    saturated_s: float
    """The same among other requests, which fill its batches: what it takes of a busy machine's time, by the law."""
    around_s: float
    """Mean of what doesn't scale."""
    alone: Alone
    """At least `compute_s`, for no request keeps all engines at work to its end, and a small one not even at its
    beginning."""
    passes: float
    """Of the mean request, all engines together."""


def request_moments(law: Law, workload: Workload, max_tokens: int, *, engines: int = 1, token_budget: int) -> Moments:
    """Means of a request's seconds on a server of `engines`; its documents are those of a typical request."""
    laid_out = _lay_out(law, workload, max_tokens, engines, token_budget)
    among_others = saturated_load(law, workload, max_tokens, engines=engines, token_budget=token_budget)
    documents = workload.documents_per_request
    return Moments(
        compute_s=laid_out.times * laid_out.together_s / engines,
        saturated_s=documents * law.seconds(among_others) / engines,
        around_s=law.around_seconds(documents * workload.length_moments(max_tokens)[1]),
        alone=request_alone(law, workload, max_tokens, engines=engines, token_budget=token_budget),
        passes=laid_out.times * laid_out.passes,
    )


def request_alone(law: Law, workload: Workload, max_tokens: int, *, engines: int, token_budget: int) -> Alone:
    """On a server of so many engines.

    Few engines have many documents each, whose lengths are independent of each other and of how many there are; one of
    t tokens takes b + c t + d t². Many engines are waited for as long as the longest document takes.
    """
    raw = workload.length_moments(max_tokens)
    c, d = law.per_token, law.per_squared_token
    variance = c * c * (raw[2] - raw[1] ** 2) + d * d * (raw[4] - raw[2] ** 2) + 2 * c * d * (raw[3] - raw[1] * raw[2])
    documents = workload.documents_per_request
    of_one = law.per_sequence + c * raw[1] + d * raw[2]
    spread = math.sqrt(documents * max(variance, 0.0) + (workload.documents_cv * documents * of_one) ** 2)
    laid_out = _lay_out(law, workload, max_tokens, engines, token_budget)
    return Alone(
        mean_s=laid_out.last_s + (laid_out.times - 1) * laid_out.together_s / engines,
        deviation_s=max(spread / engines, laid_out.deviation_s),
    )


class _LaidOut(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of a workload's typical requests, or of as many of their documents as are laid out."""

    last_s: float
    """Until the last engine has done."""
    deviation_s: float
    """Of that, by how their longest documents differ."""
    together_s: float
    """Of all engines."""
    passes: float
    times: float
    """As many documents does the mean request have."""


@lru_cache(maxsize=4096)  # asked for again by every host with as many engines
def _lay_out(law: Law, workload: Workload, max_tokens: int, engines: int, token_budget: int) -> _LaidOut:
    documents = min(max(1, round(workload.documents_per_request)), MOST_LAID_OUT)
    requests = typical_requests(workload, documents, max_tokens)
    layouts = [lay_out(own, engines=engines, token_budget=token_budget, padded=law.padded) for own in requests]
    last = [max(map(law.seconds, one.loads)) for one in layouts]
    return _LaidOut(
        last_s=fmean(last),
        deviation_s=pstdev(last) * _rarer(law, workload, documents, max_tokens),
        together_s=fmean(law.seconds(one.together) for one in layouts),
        passes=fmean(one.together.passes for one in layouts),
        times=workload.documents_per_request / documents,
    )


@lru_cache(maxsize=256)
def _rarer(law: Law, workload: Workload, documents: int, max_tokens: int) -> float:
    """By what factor the longest documents of all requests differ more than those of the few typical ones."""

    def spread(requests: int) -> float:
        longest = longest_lengths(workload, documents, max_tokens, requests)
        return pstdev([law.seconds(Load(1, 1, length, length * length)) for length in longest])

    few = spread(len(typical_requests(workload, documents, max_tokens)))
    return spread(MANY) / few if few else 1.0
