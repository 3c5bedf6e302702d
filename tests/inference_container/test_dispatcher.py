"""Compute threads under the shared policy: sharing, failing alone, giving up, starting again, ending."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_container.dispatcher import LEAST_PATIENCE_S, MOST_FAILURES, Dispatcher
from inference_container.engines import RaggedBatch
from inference_container.errors import EngineFailed, NotReady, QueueFull, RequestTooLarge, TookTooLong, WorkerDied
from inference_container.job import Work
from inference_container.metrics import Metrics
from inference_container.workers.worker import WorkerLost
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.manifest import Dtype

POISON = 666
NOT_A_NUMBER = 667
FAR = 3600.0


class SumEngine:
    """An engine whose logit is the sum of a sequence's ids; some ids make it fail, and a gate makes it wait.

    It is lost when one of `deadly` comes, or when it is ended; it can be started again unless `broken`.
    """

    name = "sum"
    version = "1"
    dtype: Dtype = "fp32"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[list[list[int]]] = []
        self.alive = True
        self.deadly: set[int] = set()
        self.broken = False
        self.starts = 0

    def start(self) -> None:
        if self.broken:
            raise ToolkitError("it is broken")
        self.starts += 1
        self.alive = True

    def end(self) -> None:
        self.alive = False

    def score(self, batch: RaggedBatch, *, timeout_s: float | None = None) -> NDArray[np.float32]:
        assert timeout_s is not None
        assert timeout_s >= LEAST_PATIENCE_S
        self.entered.release()
        assert self.gate.wait(60)
        sequences = [
            batch.ids[first:last].tolist() for first, last in zip(batch.offsets, batch.offsets[1:], strict=False)
        ]
        self.batches.append(sequences)
        if self.deadly & {token for ids in sequences for token in ids}:
            raise WorkerLost("a worker process ended by signal 9 (Killed)")
        if any(POISON in ids for ids in sequences):
            raise RuntimeError("poison")
        return np.array([np.nan if NOT_A_NUMBER in ids else float(sum(ids)) for ids in sequences], dtype=np.float32)


def work(*sequences: Sequence[int]) -> Work:
    ids = [np.array(sequence, dtype=np.int32) for sequence in sequences]
    return Work(ids, [np.zeros_like(sequence) for sequence in ids], [float(len(sequence)) for sequence in ids])


LIMIT_S = 10.0


@contextmanager
def dispatching(*engines: SumEngine, token_budget: int = 8, max_queued_tokens: int = 100_000) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(
        engines,
        token_budget=token_budget,
        max_queued_tokens=max_queued_tokens,
        time_limit_s=LIMIT_S,
        metrics=Metrics(),
    )
    try:
        yield dispatcher
    finally:
        for engine in engines:
            engine.gate.set()
        dispatcher.close("the test is over", timeout_s=10)
        assert dispatcher.fault == "the compute threads have stopped"


def within(seconds: float) -> float:
    return time.monotonic() + seconds


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


async def entered(engine: SumEngine) -> None:
    """Waits until the engine has been given another batch."""
    assert await asyncio.to_thread(engine.entered.acquire, timeout=30), "the engine was given no batch"


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_each_request_gets_its_own_scores_in_its_own_order() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine) as dispatcher:
            first, second = await asyncio.gather(
                dispatcher.score(work([1], [2, 3], [4, 5, 6, 7]), deadline=within(FAR)),
                dispatcher.score(work([10, 10], [20]), deadline=within(FAR)),
            )
        assert first.logits.tolist() == [1, 5, 22]
        assert second.logits.tolist() == [20, 20]
        assert first.batches >= 1
        assert first.queue_s >= 0
        assert first.inference_s >= 0

    run(scenario)


def test_batches_keep_to_the_token_budget_and_mix_requests() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine, token_budget=4) as dispatcher:
            engine.gate.clear()
            blocker = asyncio.create_task(dispatcher.score(work([9]), deadline=within(FAR)))
            await entered(engine)
            others = [
                asyncio.create_task(dispatcher.score(work([number] * 2, [number] * 2), deadline=within(FAR)))
                for number in (1, 2)
            ]
            await asyncio.sleep(0)
            engine.gate.set()
            await asyncio.gather(blocker, *others)
        assert engine.batches == [[[9]], [[1, 1], [2, 2]], [[1, 1], [2, 2]]]

    run(scenario)


def test_an_engine_that_raises_fails_only_the_requests_of_that_batch() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine, token_budget=1) as dispatcher:
            results = await asyncio.gather(
                dispatcher.score(work([1], [2]), deadline=within(FAR)),
                dispatcher.score(work([POISON], [3], [4], [5]), deadline=within(FAR)),
                dispatcher.score(work([6]), deadline=within(FAR)),
                return_exceptions=True,
            )
            assert not isinstance(results[0], BaseException)
            assert results[0].logits.tolist() == [1, 2]
            assert isinstance(results[1], EngineFailed)
            assert "RuntimeError" in str(results[1])
            assert not isinstance(results[2], BaseException)
            assert (await dispatcher.score(work([7]), deadline=within(FAR))).logits.tolist() == [7]
        assert [[5]] not in engine.batches, "documents of a failed request are not computed"

    run(scenario)


def test_an_engine_that_fails_again_and_again_is_started_anew() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine) as dispatcher:

            async def fail(times: int) -> None:
                for _ in range(times):
                    with pytest.raises(EngineFailed):
                        await dispatcher.score(work([POISON]), deadline=within(FAR))

            await fail(MOST_FAILURES - 1)
            await dispatcher.score(work([1]), deadline=within(FAR))
            await fail(MOST_FAILURES - 1)
            assert engine.starts == 0, "one success starts the count anew"
            engine.broken = True
            await fail(1)
            await until(lambda: dispatcher.fault == "it is broken")
            engine.broken = False
            assert (await dispatcher.score(work([2]), deadline=within(FAR))).logits.tolist() == [2]
            assert engine.starts == 1
            assert dispatcher.fault is None


def test_what_a_lost_engine_had_is_computed_by_another() -> None:
    lost, other = SumEngine(), SumEngine()
    lost.deadly, lost.broken = {1, 2, 3, 4}, True

    async def scenario() -> None:
        with dispatching(lost, other, token_budget=2) as dispatcher:
            answers = await asyncio.gather(
                *(dispatcher.score(work([number, 1], [number, 2]), deadline=within(FAR)) for number in (3, 4))
            )
            assert [answer.logits.tolist() for answer in answers] == [[4, 5], [5, 6]]
            await until(lambda: not lost.alive or not lost.batches)
            assert dispatcher.fault is None, "one engine is enough"

    run(scenario)


def test_who_brings_down_engines_does_so_alone_and_is_told() -> None:
    engine = SumEngine()
    engine.deadly = {13}

    async def scenario() -> None:
        with dispatching(engine) as dispatcher:
            engine.gate.clear()
            blocker = asyncio.create_task(dispatcher.score(work([9]), deadline=within(FAR)))
            await entered(engine)
            together = [
                asyncio.create_task(dispatcher.score(work([number]), deadline=within(FAR))) for number in (1, 13, 2)
            ]
            await asyncio.sleep(0)
            engine.gate.set()
            one, deadly, two = await asyncio.gather(*together, return_exceptions=True)
            await blocker
            assert engine.batches == [[[9]], [[1], [13], [2]], [[1]], [[13]], [[2]]]
            assert not isinstance(one, BaseException)
            assert not isinstance(two, BaseException)
            assert isinstance(deadly, WorkerDied)
            assert (deadly.status, deadly.reason) == (503, "worker_died")
            assert "ended by signal 9 (Killed), the second one that computed this request" in str(deadly)
            assert engine.starts == 2

    run(scenario)


def test_an_engine_that_ends_with_nothing_to_do_is_noticed_and_started_again() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine) as dispatcher:
            engine.end()
            await until(lambda: engine.starts == 1)
            assert (await dispatcher.score(work([1]), deadline=within(FAR))).logits.tolist() == [1]

    run(scenario)


def test_while_no_engine_is_up_requests_wait_until_their_deadline() -> None:
    engine = SumEngine()
    engine.alive, engine.broken = False, True

    async def scenario() -> None:
        with dispatching(engine) as dispatcher:
            await until(lambda: dispatcher.fault == "it is broken")
            with pytest.raises(TookTooLong):
                await dispatcher.score(work([1]), deadline=within(0.05))
            waiting = asyncio.create_task(dispatcher.score(work([2]), deadline=within(FAR)))
            await asyncio.sleep(0)
            engine.broken = False
            assert (await waiting).logits.tolist() == [2]
            assert dispatcher.fault is None

    run(scenario)


def test_idle_engines_share_one_request() -> None:
    engines = [SumEngine(), SumEngine()]

    async def scenario() -> None:
        with dispatching(*engines, token_budget=2048) as dispatcher:
            for engine in engines:
                engine.gate.clear()
            request = asyncio.create_task(dispatcher.score(work(*[[1] * 100] * 10), deadline=within(FAR)))
            for engine in engines:
                await entered(engine)  # each has a part of it before either has answered
            for engine in engines:
                engine.gate.set()
            answer = await request
            assert answer.logits.tolist() == [100] * 10
            assert answer.batches > 1
            assert answer.inference_s + answer.queue_s < 60

    run(scenario)


def test_how_long_a_failure_took_tells_nothing_of_the_speed() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine) as dispatcher:
            engine.gate.clear()
            slow = asyncio.create_task(dispatcher.score(work([POISON]), deadline=within(FAR)))
            await entered(engine)
            await asyncio.sleep(0.05)
            engine.gate.set()
            assert isinstance((await asyncio.gather(slow, return_exceptions=True))[0], EngineFailed)
            # At 50 ms a token this would take 500 s.
            assert (await dispatcher.score(work([1] * 10_000), deadline=within(20))).logits.tolist() == [10_000]

    run(scenario)


def test_scores_that_are_no_numbers_fail_their_request_and_name_its_documents() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine) as dispatcher:
            bad, good = await asyncio.gather(
                dispatcher.score(work([1], [NOT_A_NUMBER], [2]), deadline=within(FAR)),
                dispatcher.score(work([3]), deadline=within(FAR)),
                return_exceptions=True,
            )
        assert isinstance(bad, EngineFailed)
        assert str(bad) == "the engine's score is not a finite number for documents 1"
        assert not isinstance(good, BaseException)
        assert good.logits.tolist() == [3]

    run(scenario)


def test_what_was_cancelled_is_not_computed() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine, token_budget=1) as dispatcher:
            engine.gate.clear()
            blocker = asyncio.create_task(dispatcher.score(work([9]), deadline=within(FAR)))
            await entered(engine)
            left = asyncio.create_task(dispatcher.score(work([1], [2]), deadline=within(FAR)))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.wait({left})
            engine.gate.set()
            await blocker
            await dispatcher.score(work([3]), deadline=within(FAR))
        assert left.cancelled()
        assert engine.batches == [[[9]], [[3]]]

    run(scenario)


def test_the_time_limit_ends_the_wait_whatever_the_engine_does() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine) as dispatcher:
            engine.gate.clear()
            with pytest.raises(TookTooLong) as raised:
                await dispatcher.score(work([1]), deadline=within(0.05))
            assert raised.value.retry_after_s
            queued = asyncio.create_task(dispatcher.score(work([2]), deadline=within(0.05)))
            assert isinstance((await asyncio.gather(queued, return_exceptions=True))[0], TookTooLong)
            engine.gate.set()
            assert (await dispatcher.score(work([3]), deadline=within(FAR))).logits.tolist() == [3]
        assert [[2]] not in engine.batches

    run(scenario)


def test_more_than_may_wait_is_refused_with_numbers() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine, token_budget=1, max_queued_tokens=3) as dispatcher:
            with pytest.raises(RequestTooLarge) as too_large:
                await dispatcher.score(work([1] * 4), deadline=within(FAR))
            assert too_large.value.headers == {}, "waiting won't make it smaller"
            assert "4 tokens" in str(too_large.value)
            engine.gate.clear()
            blocker = asyncio.create_task(dispatcher.score(work([9]), deadline=within(FAR)))
            await entered(engine)
            waiting = asyncio.create_task(dispatcher.score(work([1] * 2), deadline=within(FAR)))
            await asyncio.sleep(0)
            with pytest.raises(QueueFull) as full:
                await dispatcher.score(work([1] * 2), deadline=within(FAR))
            assert full.value.status == 429
            assert full.value.reason == "queue_full"
            assert int(full.value.headers["Retry-After"]) >= 1
            engine.gate.set()
            await asyncio.gather(blocker, waiting)

    run(scenario)


def test_an_idle_engine_tries_what_a_bad_start_made_look_too_long() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine, token_budget=100) as dispatcher:
            engine.gate.clear()
            disturbed = asyncio.create_task(dispatcher.score(work([1]), deadline=within(FAR)))
            await entered(engine)
            await asyncio.sleep(0.05)
            engine.gate.set()
            await disturbed
            # At 50 ms a token, 100 tokens take 5 s: twice what is left, and in truth a moment.
            answer = await dispatcher.score(work([1] * 100), deadline=within(2.5))
            assert answer.logits.tolist() == [100]

    run(scenario)


def test_even_an_idle_engine_refuses_what_is_hopeless() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine) as dispatcher:
            engine.gate.clear()
            slow = asyncio.create_task(dispatcher.score(work([1]), deadline=within(FAR)))
            await entered(engine)
            await asyncio.sleep(0.05)
            engine.gate.set()
            await slow
            with pytest.raises(RequestTooLarge) as raised:
                await dispatcher.score(work([1] * 10_000), deadline=within(LIMIT_S))
            assert "it would take about" in str(raised.value)

    run(scenario)


def test_closing_fails_what_is_left_and_takes_nothing_more() -> None:
    engine = SumEngine()

    async def scenario() -> None:
        with dispatching(engine, token_budget=1) as dispatcher:
            engine.gate.clear()
            left = [asyncio.create_task(dispatcher.score(work([1], [2]), deadline=within(FAR))) for _ in range(2)]
            await entered(engine)
            dispatcher.close("going down", timeout_s=0)
            results = await asyncio.gather(*left, return_exceptions=True)
            assert [str(result) for result in results if isinstance(result, NotReady)] == ["going down"] * 2
            with pytest.raises(NotReady):
                await dispatcher.score(work([3]), deadline=within(FAR))

    run(scenario)


def test_many_callers_at_once_all_get_their_own() -> None:
    engine = SumEngine()
    requests = [[[number, index] for index in range(number % 7 + 1)] for number in range(200)]

    async def scenario() -> None:
        with dispatching(engine, token_budget=16, max_queued_tokens=100_000) as dispatcher:
            answers = await asyncio.gather(
                *(dispatcher.score(work(*documents), deadline=within(FAR)) for documents in requests)
            )
        for documents, answer in zip(requests, answers, strict=True):
            assert answer.logits.tolist() == [sum(document) for document in documents]

    run(scenario)
