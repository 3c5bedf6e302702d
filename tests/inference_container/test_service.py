"""What one served model does with tasks: bounds on what it holds, and the end of what is left when it closes."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from inference_container.artifact import TOKENIZER
from inference_container.dialects import Ranking, RerankTask
from inference_container.dialects.jina import JinaDialect
from inference_container.dispatcher import Scores
from inference_container.errors import NotReady, QueueFull, RequestTooLarge
from inference_container.metrics import Metrics
from inference_container.served import EncodedTask, ServedModel
from inference_container.service import RerankService
from inference_container.tokenization import EncodedPairs, PairTokenizer
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
def model(small_bert: Path) -> ServedModel:
    return ServedModel.load(Settings(model_dir=str(small_bert), threads=1))


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
        encoded = await service.encode(RerankTask("q", ["d"] * 2000))
        assert encoded.tokens == 2000 * 5
        assert (tokenizer.queries, tokenizer.batches) == (1, 4)

    run(scenario, model, small_bert)


def test_documents_that_can_not_fit_are_refused_before_they_are_read(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        with pytest.raises(RequestTooLarge) as raised:
            await service.encode(RerankTask("qq", [""] * 2001))
        assert str(raised.value) == (
            "2,001 documents with this query have at least 10,005 tokens; at most 10,000 may wait here; "
            "send fewer or shorter documents"
        )
        assert tokenizer.batches == 0
        await service.encode(RerankTask("qq", [""] * 2000))

    run(scenario, model, small_bert, max_queued_tokens=10_000)


def test_reading_ends_as_soon_as_there_are_too_many_tokens(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        with pytest.raises(RequestTooLarge, match="the first 512 of 1,500 documents have 51,712 tokens with the query"):
            await service.encode(RerankTask("q", ["d" * 97] * 1500))
        assert tokenizer.batches == 1
        with pytest.raises(RequestTooLarge, match="the first 60 of 60 documents have 18,240 tokens with the query"):
            await service.encode(RerankTask("q", ["d" * 300] * 60))

    run(scenario, model, small_bert, max_queued_tokens=10_000)


def test_requests_that_are_read_at_once_share_the_bound(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, _: WatchedTokenizer) -> None:
        task = RerankTask("q", ["d" * 16] * 512 * 9)
        results = await asyncio.gather(*(service.encode(task) for _ in range(3)), return_exceptions=True)
        assert {type(result) for result in results} == {EncodedTask, QueueFull}
        assert (await service.encode(task)).tokens == 512 * 9 * 20

    run(scenario, model, small_bert, max_queued_tokens=100_000)


def test_closing_tells_those_who_are_being_read(model: ServedModel, small_bert: Path) -> None:
    async def scenario(service: RerankService, tokenizer: WatchedTokenizer) -> None:
        tokenizer.gate.clear()
        # Two are with the workers and come back to take them again, two more still wait for one.
        reading = [asyncio.create_task(service.encode(RerankTask("q", ["d"]))) for _ in range(4)]
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
        reading = asyncio.create_task(service.encode(RerankTask("q", ["d"])))
        await asyncio.to_thread(tokenizer.entered.acquire)
        service.close("going down", timeout_s=10)
        reading.cancel()
        await asyncio.wait({reading})
        assert reading.cancelled()

    run(scenario, model, small_bert)


class WatchedDialect(JinaDialect):
    """Remembers the thread that rendered last."""

    thread = ""

    def render(self, task: RerankTask, ranking: Ranking) -> Any:
        self.thread = threading.current_thread().name
        return super().render(task, ranking)


@pytest.mark.parametrize(("count", "thread"), [(3, "MainThread"), (5000, "tokenize")])
def test_many_documents_are_rendered_beside_the_event_loop(
    model: ServedModel, small_bert: Path, count: int, thread: str
) -> None:
    async def scenario(service: RerankService, _: WatchedTokenizer) -> None:
        task = RerankTask("q", ["d"] * count)
        encoded = await service.encode(task)
        scores = Scores(np.arange(count, dtype=np.float32), inference_s=0, queue_s=0, batches=1)
        dialect = WatchedDialect()
        answer = msgspec.json.decode(await service.render(dialect, task, encoded, scores))
        assert [result["index"] for result in answer["results"]] == [*reversed(range(count))]
        assert dialect.thread.startswith(thread)

    run(scenario, model, small_bert)
