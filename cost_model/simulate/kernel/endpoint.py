"""All requests through the router and the instances behind it, event after event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cost_model.simulate.compiling import compiled
from cost_model.simulate.kernel.admission import expire, submit
from cost_model.simulate.kernel.batches import compute, finish, keep, next_batch
from cost_model.simulate.kernel.turns import merged
from cost_model.simulate.records import NOBODY, Batch, Document, Engine, Instance, Request, Settings


@compiled
def run(
    requests: Sequence[Request],
    documents: Sequence[Document],
    instances: Sequence[Instance],
    engines: Sequence[Engine],
    batches: Sequence[Batch],
    settings: Sequence[Settings],
    law: NDArray[np.float64],
    crowding: NDArray[np.float64],
    noise: NDArray[np.float64],
    routes: NDArray[np.int64],
    fleet_from: NDArray[np.float64],
    fleet: NDArray[np.int64],
) -> int:
    """Serves all requests; the outcomes stand in the rows. Returns how many batches were computed.

    requests: by arrival. documents: those of a request adjacent, longest first. engines: those of an instance
    adjacent. batches: rows for what is to be kept of the first so many batches. law: (4,), seconds per pass, sequence,
    token and squared token; crowding: (k,), the factor with 1 to k and more requests on the instance; noise:
    (m,), the factors of the batches in turn. routes: (n,), for each request a random number below 2^62.
    fleet_from: (f,), from when on `fleet` instances take requests, the first at -inf.
    """
    rules = settings[0]
    ends = NOBODY
    started = 0
    coming = 0
    era = 0
    last_arrival = requests[len(requests) - 1].arrival
    while coming < len(requests) or ends != NOBODY:
        if ends != NOBODY and (coming == len(requests) or engines[ends].key <= requests[coming].arrival):
            engine = ends
            now = engines[engine].key
            ends = merged(engines, engines[engine].left, engines[engine].right)
            at = engine // rules.engines
            finish(requests, documents, instances[at], engines[engine], rules, now)
        else:
            now = requests[coming].arrival
            while era + 1 < len(fleet) and fleet_from[era + 1] <= now:
                era += 1
            at = route(instances, fleet[era], routes[coming], rules)
            expire(requests, instances[at], now)
            submit(requests, documents, instances[at], rules, coming, at, now)
            coming += 1
        for engine in range(at * rules.engines, (at + 1) * rules.engines):
            if engines[engine].busy:
                continue
            expire(requests, instances[at], now)
            if not next_batch(requests, documents, instances[at], engines[engine], rules, started, now):
                break
            seconds = compute(documents, engines[engine], rules, law)
            crowd = min(instances[at].outstanding, len(crowding))
            seconds = seconds * crowding[crowd - 1] * noise[started % len(noise)]
            if started < len(batches):
                keep(documents, batches[started], engines[engine], engine, now, seconds)
            engines[engine].seconds = seconds
            engines[engine].total += max(0.0, min(now + seconds, last_arrival) - now)
            engines[engine].key = now + seconds
            engines[engine].turn = started
            engines[engine].left = engines[engine].right = NOBODY
            ends = merged(engines, ends, engine)
            started += 1
    return started


@compiled
def route(instances: Sequence[Instance], count: int, draw: int, rules: Settings) -> int:
    """The instance that gets a request: any, or of those with the fewest outstanding any."""
    if rules.is_random or count == 1:
        return draw % count
    fewest = instances[0].outstanding
    equals = 0
    for at in range(count):
        if instances[at].outstanding < fewest:
            fewest = instances[at].outstanding
            equals = 0
        equals += instances[at].outstanding == fewest
    picked = draw % equals
    for at in range(count):
        if instances[at].outstanding == fewest:
            if picked == 0:
                return at
            picked -= 1
    return 0
