"""A workload's request under a law: mean and spread of its seconds."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import fmean

import msgspec

from cost_model.service_time.law import Law
from cost_model.service_time.layout import lay_out
from cost_model.service_time.lengths import typical_requests
from cost_model.service_time.saturation import saturated_load
from cost_model.workload import Workload

MOST_LAID_OUT = 128
"""Documents of a request. What engines lose at its end, when little is left to share out, is no more with more."""


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """A workload's request under a law, in seconds on the measured machine."""

    compute_s: float
    """Mean of what scales with the processor: the compute of a request's batches, spread over all engines."""
    deviation_s: float
    """Standard deviation of that, from the spread of the lengths."""
    saturated_s: float
    """The same among other requests, which fill its batches: what it takes of a busy machine's time, by the law."""
    around_s: float
    """Mean of what doesn't scale."""
    alone_s: float
    """Mean compute of a request that has the machine to itself: at least `compute_s`, for no request keeps all engines
    at work to its end, and a small one not even at its beginning."""
    passes: float
    """Of the mean request, all engines together."""


def request_moments(law: Law, workload: Workload, max_tokens: int, *, engines: int = 1, token_budget: int) -> Moments:
    """Mean and spread of a request's seconds on a server of `engines`.

    Its documents are those of a typical request, and take as long as so many do on average. For the spread they are
    independent of each other and of how many there are, and one takes b + c t + d t².
    """
    raw = workload.length_moments(max_tokens)
    c, d = law.per_token, law.per_squared_token
    variance = c * c * (raw[2] - raw[1] ** 2) + d * d * (raw[4] - raw[2] ** 2) + 2 * c * d * (raw[3] - raw[1] * raw[2])
    sequences = workload.documents_per_request
    of_one = law.per_sequence + c * raw[1] + d * raw[2]
    spread = sequences * max(variance, 0.0) + (workload.documents_cv * sequences * of_one) ** 2
    laid_out = _lay_out(law, workload, max_tokens, engines, token_budget)
    among_others = saturated_load(law, workload, max_tokens, engines=engines, token_budget=token_budget)
    return Moments(
        compute_s=laid_out.times * laid_out.together_s / engines,
        deviation_s=math.sqrt(spread) / engines,
        saturated_s=sequences * law.seconds(among_others) / engines,
        around_s=law.around_seconds(sequences * raw[1]),
        alone_s=laid_out.alone_s,
        passes=laid_out.times * laid_out.passes,
    )


def alone_seconds(law: Law, workload: Workload, max_tokens: int, *, engines: int, token_budget: int) -> float:
    """Mean compute seconds of the workload's request, alone on a server of so many engines."""
    return _lay_out(law, workload, max_tokens, engines, token_budget).alone_s


class _LaidOut(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of a workload's typical requests, or of as many of their documents as are laid out."""

    last_s: float
    """Until the last engine has done."""
    together_s: float
    """Of all engines."""
    passes: float
    engines: int
    times: float
    """As many documents does the mean request have."""

    @property
    def alone_s(self) -> float:
        return self.last_s + (self.times - 1) * self.together_s / self.engines


@lru_cache(maxsize=4096)  # asked for again by every host with as many engines
def _lay_out(law: Law, workload: Workload, max_tokens: int, engines: int, token_budget: int) -> _LaidOut:
    documents = min(max(1, round(workload.documents_per_request)), MOST_LAID_OUT)
    layouts = [
        lay_out(lengths, engines=engines, token_budget=token_budget, padded=law.padded)
        for lengths in typical_requests(workload, documents, max_tokens)
    ]
    return _LaidOut(
        last_s=fmean(max(map(law.seconds, one.loads)) for one in layouts),
        together_s=fmean(law.seconds(one.together) for one in layouts),
        passes=fmean(one.together.passes for one in layouts),
        engines=engines,
        times=workload.documents_per_request / documents,
    )
