"""What one served model does with tasks: bounds on what it holds, and the end of what is left when it closes."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from inference_container.artifact import TOKENIZER
from inference_container.dialects import Inquiry, Ranking, RerankTask
from inference_container.errors import InvalidRequest, NotReady, QueueFull, RequestTooLarge, WouldBeLate
from inference_container.job import Scores
from inference_container.metrics import Metrics
from inference_container.served import EncodedTask, ServedModel
from inference_container.service import RerankService
from inference_container.tokenization import EncodedPairs, PairTokenizer
from inference_container.workers.pool import WorkerPool
from rerank_toolkit.contracts.settings import Settings


class WatchedTokenizer(PairTokenizer):
    """Counts its calls; a gate makes it wait."""

    queries = 0
    batches = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def encode_query(self, query: str) -> list[int]:
        self.queries += 1
        self.entered.release()
        assert self.gate.wait(60)
        return super().encode_query(query)

    def encode_pairs(self, query: Sequence[int], documents: Sequence[str], **kwargs: Any) -> EncodedPairs:
        self.batches += 1
        return super().encode_pairs(query, documents, **kwargs)


Scenario = Callable[[RerankService, WatchedTokenizer], Awaitable[None]]


@pytest.fixture(scope="module")
def model(small_bert: Path) -> Iterator[ServedModel]:
    settings = Settings(model_dir=str(small_bert), threads=1)
    with WorkerPool.running(settings) as pool:
        yield ServedModel.load(settings, pool)


def run(scenario: Scenario, model: ServedModel, small_bert: Path, **settings: Any) -> None:
    async def bounded() -> None:
        tokenizer = WatchedTokenizer.from_file(small_bert / TOKENIZER, max_tokens=512, type_ids=True)
        served = dataclasses.replace(model, tokenizer=tokenizer)
        service = RerankService(served, Settings(**settings), Metrics())
        try:
            async with asyncio.timeout(60):
                await scenario(service, tokenizer)
        finally:
            tokenizer.gate.set()
            service.close("the test is over", timeout_s=10)

    asyncio.run(bounded())


def test_the_query_is_encoded_once(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        encoded = await service.encode(RerankTask(["q"], ["d"] * 2000))
        assert encoded.tokens == 2000 * 5
        assert (tokenizer.queries, tokenizer.batches) == (1, 4)

    run(scenario, model, small_bert)


def test_documents_that_can_not_fit_are_refused_before_they_are_read(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        with pytest.raises(RequestTooLarge) as raised:
            await service.encode(RerankTask(["qq"], [""] * 2001))
        assert str(raised.value) == (
            "2,001 documents with this query have at least 10,005 tokens; at most 10,000 may wait here; "
            "send fewer or shorter documents"
        )
        assert tokenizer.batches == 0
        await service.encode(RerankTask(["qq"], [""] * 2000))

    run(scenario, model, small_bert, max_queued_tokens=10_000)


def test_reading_ends_as_soon_as_there_are_too_many_tokens(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        with pytest.raises(RequestTooLarge, match="the first 512 of 1,500 documents have 51,712 tokens with the query"):
            await service.encode(RerankTask(["q"], ["d" * 97] * 1500))
        assert tokenizer.batches == 1
        with pytest.raises(RequestTooLarge, match="the 60 documents have 18,240 tokens with the query"):
            await service.encode(RerankTask(["q"], ["d" * 300] * 60))

    run(scenario, model, small_bert, max_queued_tokens=10_000)


def test_long_documents_are_read_in_smaller_groups(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        with pytest.raises(RequestTooLarge, match="the first 20 of 60 documents have 10,240 tokens with the query"):
            await service.encode(RerankTask(["q"], ["d" * 50_000] * 60))
        assert tokenizer.batches == 1

    run(scenario, model, small_bert, max_queued_tokens=10_000)


def test_reading_ends_as_soon_as_it_is_too_much_for_the_time_left(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        await service.warm_up()  # from which it knows the machine's speed
        read = tokenizer.batches
        with pytest.raises(WouldBeLate, match=r"can't be answered in the 0 s left; it would take more than \d"):
            await service.encode(RerankTask(["q"], ["d" * 300] * 5000), deadline=time.monotonic() + 0.01)
        assert tokenizer.batches == read + 1

    run(scenario, model, small_bert)


def test_requests_that_are_read_at_once_share_the_bound(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, _: WatchedTokenizer) -> None:
        task = RerankTask(["q"], ["d" * 16] * 512 * 9)
        results = await asyncio.gather(*(service.encode(task) for _ in range(3)), return_exceptions=True)
        assert {type(result) for result in results} == {EncodedTask, QueueFull}
        assert (await service.encode(task)).tokens == 512 * 9 * 20

    run(scenario, model, small_bert, max_queued_tokens=100_000)


def test_closing_tells_those_who_are_being_read(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        tokenizer.gate.clear()
        # Two are with the workers and come back to take them again, two more still wait for one.
        reading = [asyncio.create_task(service.encode(RerankTask(["q"], ["d"]))) for _ in range(4)]
        for _ in range(2):
            await asyncio.to_thread(tokenizer.entered.acquire)
        service.close("going down", timeout_s=10)
        tokenizer.gate.set()
        results = await asyncio.gather(*reading, return_exceptions=True)
        assert [(type(result), str(result)) for result in results] == [(NotReady, "going down")] * 4

    run(scenario, model, small_bert)


def test_a_caller_who_gives_up_is_cancelled_even_while_closing(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        tokenizer.gate.clear()
        reading = asyncio.create_task(service.encode(RerankTask(["q"], ["d"])))
        await asyncio.to_thread(tokenizer.entered.acquire)
        service.close("going down", timeout_s=10)
        reading.cancel()
        await asyncio.wait({reading})
        assert reading.cancelled()

    run(scenario, model, small_bert)


@pytest.mark.parametrize(("count", "thread"), [(3, "MainThread"), (5000, "tokenize")])
def test_many_documents_are_rendered_beside_the_event_loop(
    model: ServedModel, small_bert: Path, count: int, thread: str
) -> None:
    async def scenario(service: RerankService, _: WatchedTokenizer) -> None:
        task = RerankTask(["q"], ["d"] * count)
        encoded = await service.encode(task)
        scores = Scores(np.arange(count, dtype=np.float32), inference_s=0, queue_s=0, batches=1, padding_ratio=0)
        threads = []

        def answer(ranking: Ranking) -> list[int]:
            threads.append(threading.current_thread().name)
            return ranking.best_first()

        rendered = await service.render(Inquiry([task], answer), encoded, scores)
        assert msgspec.json.decode(rendered) == [*reversed(range(count))]
        assert threads[0].startswith(thread)

    run(scenario, model, small_bert)


class PanickedError(BaseException):
    """As native code raises it: no Exception."""


class PanickingTokenizer(WatchedTokenizer):
    def encode_query(self, query: str) -> list[int]:
        raise PanickedError


def test_a_panic_of_native_code_is_an_error_like_others(model: ServedModel, small_bert: Path) -> None:
    tokenizer = PanickingTokenizer.from_file(small_bert / TOKENIZER, max_tokens=512, type_ids=True)

    async def scenario(service: RerankService, _: WatchedTokenizer) -> None:
        service.model = dataclasses.replace(service.model, tokenizer=tokenizer)
        with pytest.raises(RuntimeError, match="PanickedError"):
            await service.encode(RerankTask(["q"], ["d"]))

    run(scenario, model, small_bert)


def test_each_distinct_query_is_encoded_once_and_every_document_goes_with_its_own(
    model: ServedModel, small_bert: Path
) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        pairs = [(f"query {index % 3}", f"document {index}") for index in range(1200)]
        task = RerankTask.of_pairs(pairs, query_field="q", document_field="d")
        encoded = await service.encode(task)
        assert tokenizer.queries == 3
        expected = [tokenizer.encode(*pair) for pair in [(query, [document]) for query, document in pairs]]
        assert [ids.tolist() for ids in encoded.pairs.ids] == [one.ids[0].tolist() for one in expected]
        assert encoded.query_lengths == [7] * 1200

    run(scenario, model, small_bert)


def test_tasks_are_encoded_one_after_the_other_and_faults_name_their_fields(
    model: ServedModel, small_bert: Path
) -> None:
    async def scenario(service: RerankService, _: WatchedTokenizer) -> None:
        tasks = [RerankTask(["q"], ["a" * size], truncate=False).moved_to(f"lines[{size}]") for size in (5, 600, 700)]
        with pytest.raises(InvalidRequest) as raised:
            await service.encode(*tasks)
        assert [fault.field for fault in raised.value.faults] == ["lines[600].documents[0]", "lines[700].documents[0]"]
        with pytest.raises(InvalidRequest) as raised:
            await service.encode(
                RerankTask(["q" * 300, "ok", "q" * 400], ["d"] * 3, [0, 1, 2], query_field="[{index}]")
            )
        assert [fault.field for fault in raised.value.faults] == ["[0]", "[2]"]
        assert (await service.encode(*tasks[:1], RerankTask(["qq"], ["d"]))).pairs.lengths == [9, 6]

    run(scenario, model, small_bert)
