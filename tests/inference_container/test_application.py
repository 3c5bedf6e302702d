"""Failures behind the HTTP side: each is answered in the caller's dialect, counted, and logged."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from inference_container.application import Application
from inference_container.artifact import TOKENIZER
from inference_container.dispatcher import MOST_FAILURES
from inference_container.engines import RaggedBatch
from inference_container.metrics import Metrics
from inference_container.served import ServedModel
from inference_container.service import RerankService
from inference_container.tokenization import PairTokenizer
from inference_container.workers.pool import WorkerPool
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.manifest import Dtype
from rerank_toolkit.contracts.settings import Settings
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES, decode_origin

BODY = {"query": "q", "documents": ["a", "b"]}

Scenario = Callable[[httpx.AsyncClient, RerankService], Awaitable[None]]


class BrokenEngine:
    """Fails on every batch, and once lost can't be started again."""

    name = "broken"
    version = "1"
    dtype: Dtype = "fp32"

    def __init__(self) -> None:
        self.alive = True

    def start(self) -> None:
        raise ToolkitError("the engine can't be started: no memory is left")

    def end(self) -> None:
        self.alive = False

    def score(self, batch: RaggedBatch, *, timeout_s: float | None = None) -> NDArray[np.float32]:
        raise RuntimeError("an illegal memory access was encountered")


class BrokenTokenizer(PairTokenizer):
    def encode_query(self, query: str) -> list[int]:
        raise LookupError(query)


@pytest.fixture(scope="module")
def model(small_bert: Path) -> Iterator[ServedModel]:
    settings = Settings(model_dir=str(small_bert), threads=1)
    with WorkerPool.running(settings) as pool:
        yield ServedModel.load(settings, pool)


def run(scenario: Scenario, model: ServedModel) -> None:
    async def bounded() -> None:
        metrics = Metrics()
        application = Application(Settings(), metrics)
        service = RerankService(model, Settings(), metrics)
        application.open(service, startup_s=1)
        transport = httpx.ASGITransport(application.asgi)
        try:
            async with asyncio.timeout(60), httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                await scenario(client, service)
        finally:
            service.close("the test is over", timeout_s=10)

    asyncio.run(bounded())


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[Any]:
    return [getattr(record, "fields", {}) for record in caplog.records if record.getMessage() == event]


def test_an_exception_that_nobody_thought_of_is_an_answer_like_others(
    model: ServedModel, small_bert: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = BrokenTokenizer.from_file(small_bert / TOKENIZER, max_tokens=512, type_ids=True)

    async def scenario(client: httpx.AsyncClient, _: RerankService) -> None:
        answer = await client.post("/invocations", json=BODY)
        assert answer.status_code == 500
        assert answer.json() == {"detail": "the server failed on this request (LookupError). This is a bug."}
        assert decode_origin(answer.headers[CUSTOM_ATTRIBUTES])
        metrics = (await client.get("/metrics")).text
        assert 'rerank_requests_total{dialect="jina",outcome="unforeseen"} 1.0' in metrics

    with caplog.at_level(logging.INFO):
        run(scenario, dataclasses.replace(model, tokenizer=tokenizer))
    [request] = logged(caplog, "request")
    assert (request["status"], request["outcome"], request["documents"]) == (500, "unforeseen", 2)
    [record] = [record for record in caplog.records if record.getMessage() == "unforeseen"]
    assert record.exc_info
    assert record.exc_info[0] is LookupError


def test_without_a_worker_that_can_compute_the_server_is_unhealthy_and_says_why(
    model: ServedModel, caplog: pytest.LogCaptureFixture
) -> None:
    fault = "the engine can't be started: no memory is left"

    async def scenario(client: httpx.AsyncClient, service: RerankService) -> None:
        for _ in range(MOST_FAILURES):
            assert (await client.get("/ping")).status_code == 200
            assert (await client.post("/invocations", json=BODY)).status_code == 500
        while service.fault != fault:
            await asyncio.sleep(0.01)
        ping = await client.get("/ping")
        assert (ping.status_code, ping.json()) == (503, {"detail": fault})
        refused = await client.post("/invocations", json=BODY)
        assert (refused.status_code, refused.json(), refused.headers["retry-after"]) == (503, {"detail": fault}, "5")
        metrics = (await client.get("/metrics")).text
        assert "rerank_ready 0.0" in metrics
        assert "rerank_workers 0.0" in metrics
        assert 'rerank_refusals_total{reason="unhealthy"} 1.0' in metrics

    with caplog.at_level(logging.INFO):
        run(scenario, dataclasses.replace(model, replicas=[BrokenEngine()]))
    [lost] = logged(caplog, "worker_lost")
    assert lost == {"detail": "the engine failed on the last 5 batches"}
    levels = {record.levelname for record in caplog.records if record.getMessage() == "request"}
    assert levels == {"ERROR", "INFO"}, "the server is to blame for a failure, not for a refusal"
