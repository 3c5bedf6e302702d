"""What an engine computes at once, for how long, and what that ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cost_model.simulate.compiling import compiled
from cost_model.simulate.kernel.pace import learn
from cost_model.simulate.kernel.turns import is_bulk, merged, take_turn
from cost_model.simulate.kernel.waiting import join, leave
from cost_model.simulate.outcomes import ANSWERED, LATE, PENDING
from cost_model.simulate.records import NOBODY, Batch, Document, Engine, Instance, Request, Settings


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
