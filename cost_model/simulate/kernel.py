"""The container's policy behind a router in virtual time, compiled: a twin of rerank_toolkit.scheduling.Scheduler.

What is a dict, a deque or an object there is a chain of indices here, through rows that were there from the start, so
nothing is allocated while requests come and go. Each function names the method that it mirrors; a test holds the two
equal, batch by batch and refusal by refusal. Lost engines are not simulated, so nothing is computed twice.

One file, because numba compiles what changed only where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cost_model.simulate.compiling import compiled
from cost_model.simulate.outcomes import (
    ANSWERED,
    LATE,
    MAKES_OTHERS_LATE,
    PENDING,
    QUEUE_FULL,
    TOO_LARGE,
    TOO_LATE,
)
from cost_model.simulate.records import NOBODY, Batch, Document, Engine, Instance, Request, Settings, Turn


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
def merged(rows: Sequence[Turn], one: int, other: int) -> int:
    """The root of two skew heaps made one. (Sleator, Tarjan: Self-adjusting heaps, 1986.)"""
    if min(one, other) == NOBODY:
        return max(one, other)
    if is_before(rows[other], rows[one]):
        one, other = other, one
    root = one
    while True:
        right = rows[one].right
        rows[one].right = rows[one].left
        if right == NOBODY:
            rows[one].left = other
            return root
        if is_before(rows[other], rows[right]):
            right, other = other, right
        rows[one].left = right
        one = right


@compiled
def is_before(one: Turn, other: Turn) -> bool:
    return one.key < other.key or (one.key == other.key and one.turn < other.turn)


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


@compiled
def submit(
    requests: Sequence[Request],
    documents: Sequence[Document],
    instance: Instance,
    rules: Settings,
    number: int,
    at: int,
    now: float,
) -> None:
    """Scheduler.submit and its Entry."""
    request = requests[number]
    request.instance = at
    tokens = 0
    work = 0.0
    longest = 0.0
    for position in range(request.first + request.count - 1, request.first - 1, -1):
        document = documents[position]
        tokens += document.tokens
        work += document.work
        longest = max(longest, document.work)
        document.work_after = work
    request.outcome = refusal(requests, instance, rules, tokens, work, longest, now, request.deadline)
    if request.outcome != PENDING:
        return
    request.key = instance.virtual_time
    request.tokens_left = tokens
    request.work = work
    request.bulk = work * rules.bulk_tokens / max(1, tokens)
    request.missing = request.count
    request.last_batch = request.last_ended = NOBODY
    request.remaining = work
    join(requests, instance, request, number, instance.last_waiting)
    instance.waiting += 1
    instance.outstanding += 1
    instance.queued_tokens += tokens
    instance.earliest = min(instance.earliest, request.deadline)
    take_turn(requests, instance, number)


@compiled
def refusal(
    requests: Sequence[Request],
    instance: Instance,
    rules: Settings,
    tokens: int,
    work: float,
    longest: float,
    now: float,
    deadline: float,
) -> int:
    """Scheduler.refusal; PENDING where the request can be taken."""
    if tokens > rules.max_queued_tokens:
        return TOO_LARGE
    if instance.queued_tokens + tokens > rules.max_queued_tokens:
        return QUEUE_FULL
    per_batch, per_work = pace(instance, rules)
    if math.isnan(per_work):
        return PENDING
    unit = per_work + per_batch * tokens / (work * rules.token_budget) if work else per_work
    queued = 0.0
    number = instance.first_waiting
    while number != NOBODY:
        queued += min(requests[number].remaining, work)
        number = requests[number].after
    ahead = instance.computing_work + queued

    share = max(work / max(1, rules.engines), longest)
    alone = max(per_batch + per_work * share, unit * share)
    share = max((ahead + work) / max(1, rules.engines), longest)
    estimate = max(per_batch + per_work * share, unit * share)
    left = (deadline - now) * (1 - rules.margin)
    doubt = 1.0
    if not math.isnan(instance.measured_at):
        learned = rules.doubt_at_start / (1 + instance.seconds)
        doubt = 1 + learned + (now - instance.measured_at) / rules.doubt_after

    if alone > doubt * rules.time_limit:
        return TOO_LARGE
    if estimate > (left if ahead else doubt * left):
        return TOO_LATE
    if makes_others_late(requests, instance, rules, work, now, unit / max(1, rules.engines)):
        return MAKES_OTHERS_LATE
    return PENDING


@compiled
def makes_others_late(
    requests: Sequence[Request], instance: Instance, rules: Settings, work: float, now: float, unit: float
) -> bool:
    """Scheduler._makes_others_late; those that wait are in the order of their remaining work already."""
    smaller = instance.computing_work
    behind = instance.waiting
    number = instance.first_waiting
    while number != NOBODY:
        request = requests[number]
        ends = now + unit * (smaller + behind * request.remaining)
        share = request.remaining * (rules.bulk_weight if is_bulk(request) else 1.0)
        promised = now + (request.deadline - now) * (1 - rules.margin)
        if ends <= request.deadline and promised < ends + unit * min(work, share):
            return True
        smaller += request.remaining
        behind -= 1
        number = request.after
    return False


@compiled
def expire(requests: Sequence[Request], instance: Instance, now: float) -> None:
    """Scheduler.expire, with its cancel; who is dropped stays in the heap until his turn comes."""
    if instance.earliest > now:
        return
    instance.earliest = math.inf
    number = instance.first_waiting
    while number != NOBODY:
        request = requests[number]
        if request.deadline <= now:
            request.outcome = LATE
            instance.queued_tokens -= request.tokens_left
            instance.outstanding -= 1
            instance.waiting -= 1
            leave(requests, instance, request)
        else:
            instance.earliest = min(instance.earliest, request.deadline)
        number = request.after


@compiled
def join(requests: Sequence[Request], instance: Instance, request: Request, number: int, before: int) -> None:
    """Puts it among those that wait, behind `before` or as far ahead of that as its remaining work belongs."""
    while before != NOBODY and requests[before].remaining > request.remaining:
        before = requests[before].before
    request.before = before
    if before == NOBODY:
        request.after = instance.first_waiting
        instance.first_waiting = number
    else:
        request.after = requests[before].after
        requests[before].after = number
    if request.after == NOBODY:
        instance.last_waiting = number
    else:
        requests[request.after].before = number


@compiled
def leave(requests: Sequence[Request], instance: Instance, request: Request) -> None:
    """Takes it from those that wait; its own links stay."""
    if request.before == NOBODY:
        instance.first_waiting = request.after
    else:
        requests[request.before].after = request.after
    if request.after == NOBODY:
        instance.last_waiting = request.before
    else:
        requests[request.after].before = request.before


@compiled
def take_turn(requests: Sequence[Request], instance: Instance, number: int) -> None:
    """Scheduler._take_turn."""
    instance.turns += 1
    requests[number].turn = instance.turns
    requests[number].left = requests[number].right = NOBODY
    instance.turn_root = merged(requests, instance.turn_root, number)


@compiled
def next_batch(
    requests: Sequence[Request],
    documents: Sequence[Document],
    instance: Instance,
    engine: Engine,
    rules: Settings,
    number: int,
    now: float,
) -> bool:
    """Scheduler.next_batch, for a free engine; False if none waits."""
    enough = max(rules.smallest_share, instance.queued_tokens / max(1, rules.engines))
    sequences = tokens = 0
    work = 0.0
    engine.documents = NOBODY
    while True:
        while instance.turn_root != NOBODY and requests[instance.turn_root].outcome == LATE:
            first = requests[instance.turn_root]
            instance.turn_root = merged(requests, first.left, first.right)
        if instance.turn_root == NOBODY:
            break
        index = instance.turn_root
        request = requests[index]
        position = request.first + request.next
        document = documents[position]
        if sequences and (tokens >= enough or tokens + document.tokens > rules.token_budget):
            break
        instance.turn_root = merged(requests, request.left, request.right)
        if request.last_batch != number:
            request.last_batch = number
            if request.computing == 0:
                request.begun = now
            request.computing += 1
        instance.virtual_time = request.key
        request.key += document.work * (rules.bulk_weight if is_bulk(request) else 1.0)
        request.next += 1
        request.tokens_left -= document.tokens
        document.batch = number
        put_in_order(documents, engine, position)
        sequences += 1
        tokens += document.tokens
        work += document.work
        instance.queued_tokens -= document.tokens
        leave(requests, instance, request)
        if request.next < request.count:
            request.remaining = documents[position + 1].work_after
            join(requests, instance, request, index, request.before)
            take_turn(requests, instance, index)
        else:
            instance.waiting -= 1
    if sequences == 0:
        return False
    engine.busy = 1
    engine.work = work
    engine.number = number
    instance.computing += 1
    instance.computing_work += work
    return True


@compiled
def put_in_order(documents: Sequence[Document], engine: Engine, position: int) -> None:
    """Among those of its batch, the shortest first: nearly always in front, for they are taken the longest first."""
    before, after = NOBODY, engine.documents
    while after != NOBODY and documents[after].tokens < documents[position].tokens:
        before, after = after, documents[after].together
    documents[position].together = after
    if before == NOBODY:
        engine.documents = position
    else:
        documents[before].together = position


@compiled
def compute(documents: Sequence[Document], engine: Engine, rules: Settings, law: NDArray[np.float64]) -> float:
    """Seconds that the law gives the engine's batch: cost_model.service_time.passes.load_of."""
    passes, sequences, tokens, squares = 1, 0, 0, 0
    width = among = wasted = 0
    position = engine.documents
    while position != NOBODY:
        length = documents[position].tokens
        position = documents[position].together
        if not rules.is_padded:
            sequences += 1
            tokens += length
            squares += length * length
            continue
        wider = -(-length // rules.step) * rules.step
        waste = wasted + among * (wider - width)
        if among and (waste > rules.pass_cost or (among + 1) * wider > rules.tokens_at_once):
            passes, sequences = passes + 1, sequences + among
            tokens, squares = tokens + among * width, squares + among * width * width
            among, waste = 0, 0
        width, among, wasted = wider, among + 1, waste
    sequences += among
    tokens, squares = tokens + among * width, squares + among * width * width
    engine.passes, engine.tokens, engine.squares = passes, tokens, squares
    return float(law[0] * passes + law[1] * sequences + law[2] * tokens + law[3] * squares)


@compiled
def finish(
    requests: Sequence[Request],
    documents: Sequence[Document],
    instance: Instance,
    engine: Engine,
    rules: Settings,
    now: float,
) -> None:
    """Scheduler.finished, and the answers of those whose last documents these were."""
    engine.busy = 0
    instance.computing -= 1
    instance.computing_work = instance.computing_work - engine.work if instance.computing else 0.0
    position = engine.documents
    while position != NOBODY:
        document = documents[position]
        request = requests[document.request]
        if request.last_ended != engine.number:
            request.last_ended = engine.number
            request.computing -= 1
            if request.computing == 0:
                request.inference += now - request.begun
        request.missing -= 1
        if request.missing == 0 and request.outcome == PENDING:
            request.answered = now
            request.outcome = ANSWERED if now <= request.deadline else LATE
            instance.outstanding -= 1
        position = document.together
    learn(instance, engine, rules, now)


@compiled
def learn(instance: Instance, engine: Engine, rules: Settings, now: float) -> None:
    """Pace.add, of seconds that are at most an outlier."""
    seconds = engine.seconds
    per_batch, per_work = pace(instance, rules)
    if not math.isnan(per_work):
        expected = per_batch + per_work * engine.work
        if expected:
            seconds = min(seconds, rules.outlier * expected)
    keep = 0.5 ** (seconds / rules.rate_memory)
    instance.batches = keep * instance.batches + 1
    instance.work = keep * instance.work + engine.work
    instance.work_squared = keep * instance.work_squared + engine.work * engine.work
    instance.seconds = keep * instance.seconds + seconds
    instance.work_seconds = keep * instance.work_seconds + engine.work * seconds
    instance.measured_at = now


@compiled
def pace(instance: Instance, rules: Settings) -> tuple[float, float]:
    """Pace.law: seconds per batch and per work; NaN before anything was measured."""
    if instance.work == 0:
        return 0.0, rules.initial_pace if rules.initial_pace > 0 else math.nan
    mean = instance.seconds / instance.work
    spread = instance.batches * instance.work_squared - instance.work**2
    slope = 0.0
    if spread > 0:
        slope = (instance.batches * instance.work_seconds - instance.work * instance.seconds) / spread
    if spread <= 1e-6 * instance.work**2 or not 0 < slope < mean:
        return 0.0, mean
    return (instance.seconds - slope * instance.work) / instance.batches, slope


@compiled
def is_bulk(request: Request) -> bool:
    """Entry.is_bulk."""
    return request.work - request.remaining > request.bulk


@compiled
def keep(documents: Sequence[Document], batch: Batch, engine: Engine, number: int, now: float, seconds: float) -> None:
    """Notes what was in a batch, and what was computed."""
    batch.engine = number
    batch.start = now
    batch.end = now + seconds
    batch.passes, batch.computed_tokens, batch.squared_tokens = engine.passes, engine.tokens, engine.squares
    position = engine.documents
    while position != NOBODY:
        batch.documents += 1
        batch.tokens += documents[position].tokens
        position = documents[position].together
