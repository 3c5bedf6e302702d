"""The policy alone: no threads, no clock but numbers."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_toolkit.scheduling import Batch, Refusal, Scheduler

FAR = 1e9


def drain(scheduler: Scheduler) -> list[Batch]:
    batches = []
    while batch := scheduler.next_batch():
        batches.append(batch)
        scheduler.finished(batch, batch.work / 1000, now=0)
    return batches


def submit(
    scheduler: Scheduler, request: str, tokens: list[int], *, now: float = 0, deadline: float = FAR
) -> Refusal | None:
    return scheduler.submit(request, tokens, [float(count) for count in tokens], now=now, deadline=deadline)


requests = st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=30), min_size=1, max_size=8)


@given(requests, st.integers(1, 400))
def test_every_document_is_in_exactly_one_batch_and_batches_keep_the_budget(
    lengths: list[list[int]], budget: int
) -> None:
    scheduler = Scheduler(token_budget=budget, max_queued_tokens=10**6)
    for number, tokens in enumerate(lengths):
        assert submit(scheduler, str(number), tokens) is None
    assert scheduler.queued_tokens == sum(map(sum, lengths))

    batches = drain(scheduler)

    seen = [(part.request, document) for batch in batches for part in batch.slices for document in part.documents]
    assert sorted(seen) == sorted((str(n), d) for n, tokens in enumerate(lengths) for d in range(len(tokens)))
    for batch in batches:
        sizes = [lengths[int(str(part.request))][document] for part in batch.slices for document in part.documents]
        assert batch.tokens == sum(sizes) == batch.work
        assert batch.tokens <= budget or len(sizes) == 1
    assert (scheduler.queued_tokens, scheduler.queued_requests) == (0, 0)


@given(requests, st.data())
def test_a_cancelled_request_leaves_nothing_behind(lengths: list[list[int]], data: st.DataObject) -> None:
    scheduler = Scheduler(token_budget=256, max_queued_tokens=10**6)
    for number, tokens in enumerate(lengths):
        submit(scheduler, str(number), tokens)
    for _ in range(data.draw(st.integers(0, 3))):
        scheduler.next_batch()
    gone = str(data.draw(st.integers(0, len(lengths) - 1)))

    scheduler.cancel(gone)
    scheduler.cancel(gone)

    assert all(part.request != gone for batch in drain(scheduler) for part in batch.slices)
    assert (scheduler.queued_tokens, scheduler.queued_requests) == (0, 0)


def test_ten_documents_behind_a_thousand_wait_for_about_ten() -> None:
    scheduler = Scheduler(token_budget=1000, max_queued_tokens=10**6)
    submit(scheduler, "large", [100] * 1000)
    for _ in range(20):
        scheduler.next_batch()
    submit(scheduler, "small", [100] * 10)

    computed = 0
    small_left = 10
    while small_left:
        batch = scheduler.next_batch()
        assert batch is not None
        computed += batch.tokens
        small_left -= sum(len(part.documents) for part in batch.slices if part.request == "small")

    assert computed <= 2 * 10 * 100 + 1000  # its own, as much of the other's, and the batch that it ends in


def test_shares_are_equal_in_work_not_in_documents() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6)
    submit(scheduler, "long documents", [100] * 20)
    submit(scheduler, "short documents", [10] * 200)
    served = {"long documents": 0, "short documents": 0}
    for _ in range(20):
        batch = scheduler.next_batch()
        assert batch is not None
        for part in batch.slices:
            served[str(part.request)] += len(part.documents) * (100 if part.request == "long documents" else 10)

    assert abs(served["long documents"] - served["short documents"]) <= 200


def test_idle_time_is_not_saved_up() -> None:
    scheduler = Scheduler(token_budget=10, max_queued_tokens=10**6)
    submit(scheduler, "old", [10] * 100)
    for _ in range(50):
        scheduler.next_batch()
    submit(scheduler, "new", [10] * 50)

    first_ten = [batch.slices[0].request for _ in range(10) if (batch := scheduler.next_batch())]

    assert first_ten.count("old") == 5


@pytest.mark.parametrize(
    ("tokens", "deadline", "reason"),
    [
        ([600], FAR, "queue_full"),
        ([1001], FAR, "too_large"),
        ([400], 3.9, "too_late"),  # 4 s of work alone, but 9 s of others' before a deadline that others share
        ([950], FAR, "queue_full"),
        ([100], 1.5, "too_late"),  # 1 s of its own and 1 s of the other's
        ([300], 9.0, None),
    ],
)
def test_what_cannot_be_done_in_time_is_refused_at_once(tokens: list[int], deadline: float, reason: str | None) -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=1000, work_per_second=100)
    submit(scheduler, "first", [100] * 5)

    refusal = submit(scheduler, "second", tokens, deadline=deadline)

    assert (refusal and refusal.reason) == reason
    if refusal:
        assert (refusal.retry_after_s is None) == (reason == "too_large")
        assert scheduler.queued_requests == 1


def test_a_newcomer_does_not_break_a_promise_already_given() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6, work_per_second=100)
    assert submit(scheduler, "promised", [100] * 5, deadline=6.0) is None

    refusal = submit(scheduler, "newcomer", [100] * 5, deadline=FAR)

    assert refusal is not None
    assert refusal.reason == "makes_others_late"
    assert submit(scheduler, "small", [50], deadline=FAR) is None


def test_a_margin_is_kept_for_a_machine_that_slows_down() -> None:
    def busy() -> Scheduler:
        scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6, work_per_second=100, margin=0.2)
        assert submit(scheduler, "promised", [100] * 4, deadline=10) is None
        return scheduler

    assert submit(busy(), "late", [100] * 4, deadline=9.9) is not None
    assert submit(busy(), "in time", [100] * 4, deadline=10) is None
    taken = busy()
    assert submit(taken, "in time", [100] * 4, deadline=FAR) is None
    refusal = submit(taken, "one too many", [10], deadline=FAR)
    assert refusal is not None
    assert refusal.reason == "makes_others_late"


@pytest.mark.parametrize("engines", [1, 2, 4])
def test_at_three_times_what_it_can_do_those_who_were_taken_are_in_time(engines: int) -> None:
    random = Random(7)
    limit_s, work_per_second = 5.0, 1000.0
    scheduler = Scheduler(token_budget=256, max_queued_tokens=10**6, time_limit_s=limit_s, margin=0.2, engines=engines)
    deadlines: dict[str, float] = {}
    late, refused, left = [], 0, dict[str, int]()
    ends: list[tuple[float, int, Batch]] = []

    def start(now: float) -> None:
        while len(ends) < engines and (batch := scheduler.next_batch()):
            heapq.heappush(ends, (now + batch.work / work_per_second * random.uniform(0.9, 1.1), id(batch), batch))

    def compute(until: float) -> None:
        while ends and ends[0][0] <= until:
            now, _, batch = heapq.heappop(ends)
            scheduler.finished(batch, batch.work / work_per_second, now=now)
            for part in batch.slices:
                left[str(part.request)] -= len(part.documents)
                if not left[str(part.request)] and now > deadlines[str(part.request)]:
                    late.append(part.request)
            start(now)

    now = 0.0
    for number in range(2000):
        now += random.expovariate(3 * engines * work_per_second / (20 * 40))
        compute(now)
        tokens = [random.randint(10, 70) for _ in range(random.choice([2, 10, 48]))]
        if submit(scheduler, str(number), tokens, now=now, deadline=now + limit_s):
            refused += 1
            continue
        deadlines[str(number)], left[str(number)] = now + limit_s, len(tokens)
        start(now)
    compute(FAR)

    assert refused > 0.4 * 2000
    assert len(deadlines) > 400
    assert len(late) <= 0.003 * len(deadlines)
    assert not any(left.values())


def test_a_promise_broken_anyway_shuts_no_door() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6)
    submit(scheduler, "hopeless", [100] * 5, deadline=6.0)
    batch = scheduler.next_batch()
    assert batch is not None
    scheduler.finished(batch, 10.0, now=0)  # a tenth of the speed it would have needed

    assert submit(scheduler, "newcomer", [100], deadline=FAR) is None


def test_expired_requests_are_dropped_and_named() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=1000)
    submit(scheduler, "late", [100] * 3, deadline=5)
    submit(scheduler, "later", [100] * 3, deadline=50)

    assert scheduler.expire(4.9) == []
    assert scheduler.expire(5.0) == ["late"]
    assert all(part.request == "later" for batch in drain(scheduler) for part in batch.slices)


def estimate(scheduler: Scheduler, tokens: list[int]) -> float:
    """Seconds that the scheduler expects, taken from a refusal at a deadline that nothing can meet."""
    refusal = submit(scheduler, "probe", tokens, deadline=0)
    assert refusal is not None
    assert refusal.estimate_s is not None
    return refusal.estimate_s


def run(scheduler: Scheduler, sizes: list[int], seconds_of: Callable[[float], float]) -> None:
    for number, size in enumerate(sizes):
        submit(scheduler, f"run {number}", [size])
        batch = scheduler.next_batch()
        assert batch is not None
        scheduler.finished(batch, seconds_of(batch.work), now=0)


def test_speed_is_learned_and_follows_the_machine() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6)
    run(scheduler, [100] * 50, lambda work: work / 100)
    assert estimate(scheduler, [100] * 3) == pytest.approx(3)

    run(scheduler, [100] * 50, lambda work: work / 50)
    assert estimate(scheduler, [100] * 3) == pytest.approx(6, rel=0.02)


def test_small_batches_do_not_make_large_requests_look_slow() -> None:
    scheduler = Scheduler(token_budget=1000, max_queued_tokens=10**6)
    run(scheduler, [1, 2, 4, 8] * 5, lambda work: 0.5 + work / 1000)  # by work alone: 8 tokens a second

    assert estimate(scheduler, [100] * 100) == pytest.approx(10 * 0.5 + 10, rel=1e-6)
    assert estimate(scheduler, [1]) == pytest.approx(0.501, rel=1e-6)


@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(1e-4, 50)), min_size=1, max_size=30))
def test_whatever_was_measured_the_estimate_is_positive_and_grows_with_the_request(
    measured: list[tuple[int, float]],
) -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6)
    for size, seconds in measured:
        run(scheduler, [size], lambda _, seconds=seconds: seconds)  # type: ignore[misc]

    assert 0 < estimate(scheduler, [10]) <= estimate(scheduler, [10, 10]) <= estimate(scheduler, [100] * 5)


def test_what_takes_longer_than_any_request_may_is_too_large() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6, time_limit_s=60, work_per_second=100)

    refusal = submit(scheduler, "whole day", [100] * 61, deadline=60)
    assert refusal is not None
    assert (refusal.reason, refusal.retry_after_s) == ("too_large", None)

    slowly_sent = submit(scheduler, "slowly sent", [100] * 5, deadline=1)
    assert slowly_sent is not None
    assert slowly_sent.reason == "too_late"
    assert slowly_sent.retry_after_s is not None


def test_an_idle_engine_doubts_what_it_measured_little_or_long_ago() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6, time_limit_s=60)
    run(scheduler, [10], lambda work: work / 100)  # a warm-up, ten times slower than the machine is
    assert submit(scheduler, "hopeless", [100] * 100, deadline=20) is not None
    assert submit(scheduler, "doubtful", [100] * 60, deadline=20) is None
    assert submit(scheduler, "behind it", [100] * 10, deadline=10) is not None
    drain(scheduler)

    run(scheduler, [100] * 100, lambda work: work / 100)
    assert submit(scheduler, "well known to be too long", [100] * 60, deadline=20) is not None
    assert submit(scheduler, "an hour later", [100] * 60, now=3600, deadline=3620) is None


def test_a_machine_that_was_frozen_once_is_not_slow() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6)
    run(scheduler, [100] * 100, lambda work: work / 100)
    run(scheduler, [100], lambda _: 600.0)

    assert estimate(scheduler, [100] * 10) == pytest.approx(10, rel=0.5)


def test_a_machine_that_has_become_slow_says_so_again() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6)
    run(scheduler, [100] * 100, lambda work: work / 100)
    run(scheduler, [100] * 20, lambda work: work / 2)

    assert estimate(scheduler, [100] * 10) == pytest.approx(500, rel=0.1)


def test_a_failed_batch_teaches_nothing_and_holds_nothing_up() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6, work_per_second=100)
    submit(scheduler, "r", [100])
    batch = scheduler.next_batch()
    assert batch is not None
    scheduler.failed(batch)

    assert estimate(scheduler, [100]) == pytest.approx(1)


def test_the_estimate_is_what_fair_sharing_gives() -> None:
    scheduler = Scheduler(token_budget=10, max_queued_tokens=10**6, work_per_second=10)
    submit(scheduler, "large", [10] * 100)
    tight, enough = 9.0, 10.0  # five documents of one second each, and as much of the other's

    assert submit(scheduler, "small", [10] * 5, deadline=tight) is not None
    assert submit(scheduler, "small", [10] * 5, deadline=enough) is None
    last = max(second for second, batch in enumerate(drain(scheduler), start=1) if batch.slices[0].request == "small")
    assert last <= enough


def test_ten_documents_take_most_of_the_machine_from_a_thousand() -> None:
    scheduler = Scheduler(token_budget=1000, max_queued_tokens=10**6)
    submit(scheduler, "large", [100] * 1000)
    for _ in range(20):
        scheduler.next_batch()
    submit(scheduler, "small", [100] * 10)

    batches = [scheduler.next_batch() for _ in range(2)]

    first = {part.request: len(part.documents) for part in batches[0].slices}  # type: ignore[union-attr]
    assert first == {"small": 8, "large": 2}


def test_requests_of_a_size_share_alike_however_large() -> None:
    scheduler = Scheduler(token_budget=1000, max_queued_tokens=10**6)
    for request in ("one", "other"):
        submit(scheduler, request, [100] * 1000)
    for _ in range(100):
        batch = scheduler.next_batch()
        assert batch is not None
        assert {part.request: len(part.documents) for part in batch.slices} == {"one": 5, "other": 5}


def test_a_request_s_longest_documents_come_first() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6)
    submit(scheduler, "r", [10, 90, 30, 70, 60, 40])

    assert [batch.slices[0].documents for batch in drain(scheduler)] == [(1,), (3,), (4, 5), (2, 0)]


@pytest.mark.parametrize(
    ("engines", "documents", "sizes"),
    [
        (1, 10, [1000]),
        (2, 10, [500, 300, 200]),  # half of what is left, and no less than the smallest share
        (4, 24, [600, 500, 400, 300, 300, 300]),
        (2, 100, [2000, 2000, 2000, 2000, 1000, 500, 300, 200]),
    ],
)
def test_what_is_queued_is_shared_out_between_engines(engines: int, documents: int, sizes: list[int]) -> None:
    scheduler = Scheduler(token_budget=2000, max_queued_tokens=10**6, engines=engines)
    submit(scheduler, "r", [100] * documents)

    found = []
    while batch := scheduler.next_batch():
        found.append(batch.tokens)
    assert found == [pytest.approx(size, abs=100) for size in sizes]
    assert sum(found) == 100 * documents


def test_several_engines_are_as_fast_as_that_but_no_document_is_split() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6, work_per_second=100, engines=4)
    assert estimate(scheduler, [100] * 8) == pytest.approx(2)
    assert estimate(scheduler, [800]) == pytest.approx(8)
    scheduler.engines = 1
    assert estimate(scheduler, [100] * 8) == pytest.approx(8)
    scheduler.engines = 0
    assert estimate(scheduler, [100] * 8) == pytest.approx(8), "one that will come back"


def test_batches_are_computed_at_once_and_end_in_any_order() -> None:
    scheduler = Scheduler(token_budget=100, max_queued_tokens=10**6, work_per_second=100, engines=2)
    submit(scheduler, "r", [100] * 3)
    first, second = scheduler.next_batch(), scheduler.next_batch()
    assert first
    assert second
    scheduler.finished(second, 1.0, now=1)
    assert scheduler.next_batch()
    scheduler.finished(first, 1.0, now=1)
    assert scheduler.expected_s(first) == pytest.approx(1)
    assert scheduler.next_batch() is None


def test_what_a_lost_engine_had_is_next_and_each_request_alone() -> None:
    scheduler = Scheduler(token_budget=40, max_queued_tokens=1000)
    for request in ("a", "b"):
        submit(scheduler, request, [10] * 4)
    batch = scheduler.next_batch()
    assert batch is not None
    assert (batch.again, scheduler.queued_tokens) == (False, 40)

    scheduler.requeue(batch)

    assert scheduler.queued_tokens == 80
    again = [scheduler.next_batch() for _ in range(3)]
    assert [(each.slices, each.tokens, each.again) for each in again if each] == [
        ((batch.slices[0],), 20, True),
        ((batch.slices[1],), 20, True),
        (again[2].slices, 40, False),  # type: ignore[union-attr]
    ]
    assert scheduler.queued_tokens == 0


def test_who_is_gone_is_not_computed_once_more() -> None:
    scheduler = Scheduler(token_budget=60, max_queued_tokens=1000)
    for request, deadline in (("a", FAR), ("b", FAR), ("c", 5.0)):
        submit(scheduler, request, [10] * 2, deadline=deadline)
    batch = scheduler.next_batch()
    assert batch is not None

    scheduler.cancel("a")  # while it is computed
    scheduler.requeue(batch)
    scheduler.cancel("b")  # while it waits once more
    assert scheduler.expire(4.9) == []
    assert scheduler.expire(5.0) == ["c"]

    assert scheduler.next_batch() is None
    assert (scheduler.queued_tokens, scheduler.queued_requests) == (0, 0)
    assert submit(scheduler, "a", [1]) is None


@given(requests, st.integers(1, 4), st.data())
def test_whatever_is_lost_every_document_is_computed_and_nothing_stays(
    lengths: list[list[int]], engines: int, data: st.DataObject
) -> None:
    scheduler = Scheduler(token_budget=500, max_queued_tokens=10**6, engines=engines)
    for number, tokens in enumerate(lengths):
        submit(scheduler, str(number), tokens)
    computing: list[Batch] = []
    computed: list[tuple[object, int]] = []
    while True:
        while len(computing) < engines and (batch := scheduler.next_batch()):
            computing.append(batch)
        if not computing:
            break
        batch = computing.pop(data.draw(st.integers(0, len(computing) - 1)))
        if not batch.again and data.draw(st.booleans()):
            scheduler.requeue(batch)
            continue
        scheduler.finished(batch, 1.0, now=0)
        computed += [(part.request, document) for part in batch.slices for document in part.documents]

    assert sorted(computed) == sorted((str(n), d) for n, tokens in enumerate(lengths) for d in range(len(tokens)))
    assert (scheduler.queued_tokens, scheduler.queued_requests) == (0, 0)
    for number, tokens in enumerate(lengths):
        assert submit(scheduler, str(number), tokens) is None, "its number is free again"


def test_misuse_is_a_bug_and_says_so() -> None:
    scheduler = Scheduler(token_budget=10, max_queued_tokens=100)
    submit(scheduler, "r", [1])
    with pytest.raises(ValueError, match="queued already"):
        submit(scheduler, "r", [1])
    with pytest.raises(ValueError, match="0 token counts"):
        scheduler.submit("empty", [], [], now=0, deadline=1)
