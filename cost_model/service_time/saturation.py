"""What a server computes when requests are never missing, by the law of lone ones, and how it was measured to.

Among others a request shares its batches with theirs: they are full, and hold documents of all lengths. The law tells
what that takes by way of the container's own policy, served here in virtual time. Meanwhile others are read, tokenised
and answered on the same cores: that is measured, as a share of what the law allows.
"""

from __future__ import annotations

import heapq
import math
import random
from functools import lru_cache
from typing import cast

from cost_model.service_time.law import Law
from cost_model.service_time.lengths import lengths_at
from cost_model.service_time.passes import Load, load_of
from cost_model.workload import Workload
from cost_model.workload.distribution import lognormal_slices
from rerank_toolkit.contracts.profile import Profile
from rerank_toolkit.scheduling import Batch, Scheduler

IN_FLIGHT = 4
"""Requests at least, and as many as fill two batches of each engine."""

REQUESTS, DOCUMENTS = 8, 512
"""That are served at least, to stand for all."""

MOST = 128
"""Documents of a request: more are spread over as many batches each, and tell nothing more."""

SEED = 0

Requests = tuple[tuple[int, ...], ...]
"""Tokens of each one's documents."""


def engine_share(profile: Profile, law: Law) -> float:
    """Throughput under saturation over what the law allows; 1 where the profile doesn't tell how it was saturated.

    Its requests had the same documents each time, in lengths the middles of equally likely slices of a lognormal
    distribution. Where it doesn't tell how they were spread, they count as equal: the law allows more then, and the
    share is less. Raises ValueError where nothing got through.
    """
    how = profile.saturation
    if how is None:
        return 1.0
    mean, squared = how.tokens_per_document, how.squared_tokens_per_document
    cv = math.sqrt(max(squared / mean**2 - 1, 0.0)) if squared else 0.0
    lengths = tuple(max(1, round(one)) for one in lognormal_slices(mean, cv, how.documents_per_request))
    load = load_among_others(
        law, (lengths,) * REQUESTS, engines=profile.workers, in_flight=how.in_flight, token_budget=profile.token_budget
    )
    share = profile.documents_per_second * law.seconds(load) / profile.workers
    if share <= 0:
        raise ValueError(f"documents_per_second is {profile.documents_per_second:g}; expected more than 0")
    return share


@lru_cache(maxsize=64)
def saturated_load(law: Law, workload: Workload, max_tokens: int, *, engines: int, token_budget: int) -> Load:
    """What all engines together compute for a document of the workload's, on average, among others."""
    requests = _requests(workload, max_tokens)
    fill = 2 * engines * token_budget * len(requests) / sum(map(sum, requests))
    in_flight = min(max(IN_FLIGHT, math.ceil(fill)), len(requests) // 2)
    return load_among_others(law, requests, engines=engines, in_flight=in_flight, token_budget=token_budget)


def load_among_others(law: Law, requests: Requests, *, engines: int, in_flight: int, token_budget: int) -> Load:
    """What all engines together compute for a document, on average, when so many callers send one of `requests` after
    the other, each as soon as the one before is answered, until none is left."""
    scheduler = Scheduler(token_budget=token_budget, max_queued_tokens=2**62, engines=engines)
    work = {length: law.seconds(Load(0, 1, length, length * length)) for own in requests for length in own}
    missing = [len(own) for own in requests]
    coming = iter(range(len(requests)))
    # What happens next: a batch ends, or without one a caller sends a request.
    events: list[tuple[float, int, Batch | None]] = [
        (caller * law.around_per_request, caller, None) for caller in range(in_flight)
    ]
    happened, busy, load = in_flight, 0, Load()
    while events:
        now, _, batch = heapq.heappop(events)
        if batch:
            busy -= 1
            scheduler.failed(batch)  # reported without its time: nothing is to be refused
            for part in batch.slices:
                number = cast(int, part.request)
                missing[number] -= len(part.documents)
                if not missing[number]:
                    happened += 1
                    heapq.heappush(events, (now + law.around_seconds(sum(requests[number])), happened, None))
        elif (following := next(coming, None)) is not None:
            own = requests[following]
            scheduler.submit(following, own, [work[length] for length in own], now=now, deadline=math.inf)
        while busy < engines and (batch := scheduler.next_batch()):
            tokens = sorted(requests[cast(int, part.request)][at] for part in batch.slices for at in part.documents)
            of_batch = load_of(tokens, padded=law.padded)
            load = load.plus(of_batch)
            happened, busy = happened + 1, busy + 1
            heapq.heappush(events, (now + law.seconds(of_batch), happened, batch))
    return load.times(1 / load.sequences)


@lru_cache(maxsize=64)
def _requests(workload: Workload, max_tokens: int) -> Requests:
    """Enough of them to stand for all."""
    each = min(max(1, round(workload.documents_per_request)), MOST)
    documents = each * max(REQUESTS, math.ceil(DOCUMENTS / each))
    lengths = [
        round(one) for one in lengths_at(workload, [(at + 0.5) / documents for at in range(documents)], max_tokens)
    ]
    random.Random(SEED).shuffle(lengths)
    return tuple(tuple(lengths[begin : begin + each]) for begin in range(0, documents, each))
