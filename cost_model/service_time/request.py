"""A workload's request under a law: mean and spread of its seconds."""

from __future__ import annotations

import math

import msgspec

from cost_model.service_time.law import Law
from cost_model.service_time.layout import lay_out
from cost_model.workload import Workload


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """A workload's request under a law, in seconds on the measured machine."""

    compute_s: float
    """Mean of what scales with the processor: what a request takes of the machine's time while all its engines work."""
    deviation_s: float
    """Standard deviation of that, from the spread of the lengths."""
    around_s: float
    """Mean of what doesn't scale."""
    alone_s: float
    """Mean compute of a request that has the machine to itself: at least `compute_s`, for a small request doesn't
    keep all engines at work."""
    batches: int
    """Of the mean request."""


def request_moments(law: Law, workload: Workload, max_tokens: int, *, engines: int = 1, token_budget: int) -> Moments:
    """Mean and spread of a request's seconds on a server of `engines`; a sequence takes one b + c t + d t².

    Sequences are independent of each other and of how many there are; batches are those of the mean request's, all of
    mean length.
    """
    raw = workload.length_moments(max_tokens)
    c, d = law.per_token, law.per_squared_token
    variance = c * c * (raw[2] - raw[1] ** 2) + d * d * (raw[4] - raw[2] ** 2) + 2 * c * d * (raw[3] - raw[1] * raw[2])
    sequences = workload.documents_per_request
    of_one = law.per_sequence + c * raw[1] + d * raw[2]
    layout = lay_out(round(sequences), raw[1], engines=engines, token_budget=token_budget)
    spread = sequences * max(variance, 0.0) + (workload.documents_cv * sequences * of_one) ** 2
    compute_s = (law.per_batch * layout.batches + sequences * of_one) / engines
    return Moments(
        compute_s=compute_s,
        deviation_s=math.sqrt(spread) / engines,
        around_s=law.around_per_request + law.around_per_token * sequences * raw[1],
        alone_s=max(compute_s, law.per_batch * layout.longest_batches + layout.longest_documents * of_one),
        batches=layout.batches,
    )
