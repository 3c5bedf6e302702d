"""Ends under load: of workers, of the server, of the machine's patience. Nobody hangs, nothing taken is lost.

TRIES=20 makes it thorough.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

TRIES = int(os.environ.get("TRIES", "2"))
CALLERS = 6
PATIENCE_S = 60

BODY = {"query": "q", "documents": ["x" * (20 + 37 * number % 400) for number in range(40)], "return_documents": False}


class Load:
    """Callers that each ask, hear the answer, and ask again, until told to stop or shut out."""

    def __init__(self, server: Any) -> None:
        self.answers: Counter[str] = Counter()
        """By status, or by the class of what httpx raised."""
        self._url = server.url
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(CALLERS)
        self._callers = [self._pool.submit(self._call) for _ in range(CALLERS)]

    def _call(self) -> None:
        with httpx.Client(base_url=self._url, timeout=PATIENCE_S, trust_env=False) as http:
            while not self._stop.is_set():
                try:
                    answer = http.post("/invocations", json=BODY)
                except httpx.ConnectError:  # it was never taken
                    return
                except httpx.TransportError as error:
                    self.answers[type(error).__name__] += 1
                    return
                if answer.status_code == 200:
                    assert len(answer.json()["results"]) == len(BODY["documents"])
                self.answers[str(answer.status_code)] += 1
                if "shutting down" in answer.text:
                    return

    def stop(self) -> None:
        self._stop.set()
        self.join()

    def join(self) -> None:
        for caller in self._callers:
            caller.result(PATIENCE_S + 10)
        self._pool.shutdown()


@contextmanager
def load_on(server: Any) -> Iterator[Load]:
    load = Load(server)
    try:
        server.wait_until(lambda: load.answers["200"] >= CALLERS)
        yield load
    finally:
        load.stop()


def workers_of(server: Any) -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process(server.process.pid).children()
        if "inference_container.workers" in " ".join(process.cmdline())
    ]


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_killed_under_load_hangs_and_loses_nobody(
    start_server: Any, openvino_jinabert: Path, workers: int
) -> None:
    server = start_server(openvino_jinabert, RERANK_WORKERS=str(workers))
    with load_on(server) as load:
        for tries in range(1, TRIES + 1):
            victim = workers_of(server)[tries % workers]
            victim.kill()
            server.wait_until(lambda at=tries: server.metric("rerank_worker_restarts_total") == at)
            answered = load.answers["200"]
            server.wait_until(lambda at=answered: load.answers["200"] > at + CALLERS)
    assert load.answers.keys() <= {"200", "503"}
    assert server.ping() == 200
    assert len(workers_of(server)) == workers
    assert len(server.events("worker_lost")) == TRIES


def test_who_is_killed_twice_is_told(start_server: Any, openvino_jinabert: Path) -> None:
    server = start_server(openvino_jinabert, RERANK_WORKERS="1")
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(server.rerank, {"query": "q", "documents": ["x" * 8000] * 40})
        server.wait_until(lambda: server.metric("rerank_queued_tokens") > 0)
        for _ in range(2):
            server.wait_until(lambda: server.metric("rerank_workers") == 1 and bool(workers_of(server)))
            time.sleep(0.1)  # into the batch
            for worker in workers_of(server):
                worker.kill()
            server.wait_until(lambda: server.metric("rerank_workers") == 0 or answer.done())
        assert answer.result().status_code == 503
    assert "ended by signal 9 (Killed), the second one that computed this request" in answer.result().json()["detail"]
    assert int(answer.result().headers["Retry-After"]) >= 1
    assert server.metric('rerank_refusals_total{reason="worker_died"}') == 1
    server.wait_until(lambda: server.ping() == 200)
    assert server.rerank(BODY).status_code == 200


def test_without_a_worker_the_server_is_unhealthy_and_recovers(start_server: Any, openvino_jinabert: Path) -> None:
    server = start_server(openvino_jinabert, RERANK_WORKERS="1")
    (openvino_jinabert / "model.safetensors").rename(openvino_jinabert / "moved")
    try:
        for worker in workers_of(server):
            worker.kill()
        server.wait_until(lambda: bool(server.events("worker_not_started")))
        answer = server.http.get("/ping")
        assert answer.status_code == 503
        assert "model.safetensors" in answer.json()["detail"]
    finally:
        (openvino_jinabert / "moved").rename(openvino_jinabert / "model.safetensors")
    server.wait_until(lambda: server.ping() == 200)
    assert server.rerank(BODY).status_code == 200


def test_a_signal_under_load_loses_no_request_and_leaves_nothing_behind(
    start_server: Any, openvino_jinabert: Path
) -> None:
    for _ in range(TRIES):
        server = start_server(openvino_jinabert)
        workers = workers_of(server)
        with load_on(server) as load:
            server.signal(signal.SIGTERM)
            load.join()
        assert server.exit_code() == 0
        assert load.answers.keys() <= {"200", "503"}
        assert server.events("stopping")[0]["unanswered"] == 0
        assert {event["status"] for event in server.events("request")} <= {200, 503}
        assert gone(workers)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_server(start_server: Any, openvino_jinabert: Path, number: signal.Signals) -> None:
    server = start_server(openvino_jinabert, RERANK_DRAIN_S="0.1")
    workers = workers_of(server)
    with ThreadPoolExecutor(1) as caller:
        at_work = caller.submit(server.rerank, {"query": "q", "documents": ["x" * 8000] * 200})
        server.wait_until(lambda: server.metric("rerank_queued_tokens") > 0)
        server.signal(number)
        server.exit_code()
        at_work.exception()
    assert len(workers) >= 1
    for _ in itertools.takewhile(lambda _: not gone(workers), range(100)):
        time.sleep(0.05)
    assert gone(workers)


def test_more_than_the_machine_can_do_is_answered_or_refused_at_once(
    start_server: Any, openvino_jinabert: Path
) -> None:
    """Callers for several times what may wait."""
    callers, calls = 20, 10
    server = start_server(openvino_jinabert, RERANK_MAX_QUEUED_TOKENS="30000")

    def call(_: int) -> list[httpx.Response]:
        with httpx.Client(base_url=server.url, timeout=PATIENCE_S, trust_env=False) as http:
            return [http.post("/invocations", json=BODY) for _ in range(calls)]

    with ThreadPoolExecutor(callers) as pool:
        answers = [answer for each in pool.map(call, range(callers)) for answer in each]
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert server.metric('rerank_refusals_total{reason="queue_full"}') == len(refused)
    assert server.metric("rerank_queued_tokens") == 0
    assert server.metric("rerank_requests_in_flight") == 0
    assert server.ping() == 200
