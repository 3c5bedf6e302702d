"""Who is taken, who is refused, and who is dropped when its time is over."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cost_model.simulate.compiling import compiled
from cost_model.simulate.kernel.pace import pace
from cost_model.simulate.kernel.turns import is_bulk, take_turn
from cost_model.simulate.kernel.waiting import join, leave
from cost_model.simulate.outcomes import LATE, MAKES_OTHERS_LATE, PENDING, QUEUE_FULL, TOO_LARGE, TOO_LATE
from cost_model.simulate.records import NOBODY, Document, Instance, Request, Settings


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
