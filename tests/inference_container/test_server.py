"""What callers meet: answers, bad requests, and a server that goes on after each."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES, RerankResponse, decode_origin

DOCUMENTS = ["a cat sat", "dogs", "the mat was flat and the cat was fat", "", "snow in May"]


def scores(answer: Any) -> list[float]:
    """By position in the request."""
    results = sorted(answer.json()["results"], key=lambda result: result["index"])
    return [result["relevance_score"] for result in results]


def test_answers_best_first_with_the_documents(server: Any) -> None:
    answer = server.rerank({"query": "where is the cat?", "documents": DOCUMENTS})
    assert answer.status_code == 200
    response = msgspec.json.decode(answer.content, type=RerankResponse)
    ranked = [result.relevance_score for result in response.results]
    assert ranked == sorted(ranked, reverse=True)
    assert sorted(result.index for result in response.results) == [0, 1, 2, 3, 4]
    assert all(result.document and result.document.text == DOCUMENTS[result.index] for result in response.results)
    assert all(0 <= score <= 1 for score in ranked)
    assert response.model == "small-jinabert (seeded random weights)"


def test_top_n_and_return_documents(server: Any) -> None:
    every = server.rerank({"query": "cat", "documents": DOCUMENTS}).json()["results"]
    best = server.rerank({"query": "cat", "documents": DOCUMENTS, "top_n": 2, "return_documents": False}).json()[
        "results"
    ]
    assert [result["index"] for result in best] == [result["index"] for result in every[:2]]
    assert all("document" not in result for result in best)
    assert len(server.rerank({"query": "cat", "documents": DOCUMENTS, "top_n": 99}).json()["results"]) == 5


def test_text_objects_and_plain_strings_are_the_same_request(server: Any) -> None:
    plain = server.rerank({"query": "cat", "documents": DOCUMENTS})
    objects = server.rerank({"query": {"text": "cat"}, "documents": [{"text": text} for text in DOCUMENTS]})
    assert objects.json() == plain.json()


@pytest.mark.parametrize("path", ["/invocations", "/rerank", "/v1/rerank", "/v2/rerank"])
def test_every_path_that_clients_hard_code_answers(server: Any, path: str) -> None:
    assert server.http.post(path, json={"query": "q", "documents": ["d"]}).status_code == 200


@pytest.mark.parametrize("model", ["small-jinabert", "SMALL-JINABERT", "someone/small-jinabert", None])
def test_the_served_model_may_be_named(server: Any, model: str | None) -> None:
    assert server.rerank({"query": "q", "documents": ["d"], "model": model}).status_code == 200


def test_a_request_in_company_scores_as_it_does_alone(server: Any) -> None:
    bodies = [
        {"query": f"query {number}", "documents": [f"{'word ' * (7 * number % 40)}{index}" for index in range(12)]}
        for number in range(12)
    ]
    alone = [scores(server.rerank(body)) for body in bodies]
    with ThreadPoolExecutor(len(bodies)) as callers:
        together = [scores(answer) for answer in callers.map(server.rerank, bodies)]
    for expected, found in zip(alone, together, strict=True):
        assert found == pytest.approx(expected, abs=1e-4)


def test_usage_counts_tokens_with_the_query_for_each_document(server: Any) -> None:
    # The seeded tokenizer makes one token of each byte; three special tokens join a pair.
    usage = server.rerank({"query": "abc", "documents": ["x", "yy"]}).json()["usage"]
    assert usage == {"total_tokens": (3 + 1 + 3) + (3 + 2 + 3), "truncated_documents": 0}


def test_max_doc_length_cuts_and_says_so(server: Any) -> None:
    body = {"query": "abc", "documents": ["xxxxyyyy", "xxxx"], "max_doc_length": 4}
    answer = server.rerank(body)
    assert answer.json()["usage"] == {"total_tokens": 20, "truncated_documents": 1}
    assert scores(answer)[0] == pytest.approx(scores(answer)[1])


def test_the_answer_tells_how_it_was_made(server: Any) -> None:
    header = server.rerank({"query": "q", "documents": ["d"]}).headers[CUSTOM_ATTRIBUTES]
    assert len(header) <= 1024
    origin = decode_origin(header)
    assert origin is not None
    assert (origin.model, origin.engine, origin.dtype, origin.seeded) == ("small-jinabert", "torch", "fp32", True)
    assert (origin.tokens, origin.sum_squared_tokens, origin.batches, origin.threads) == (5, 25, 1, 1)
    assert origin.inference_ms > 0
    assert origin.startup_s > 0
    assert origin.peak_memory_mib >= origin.memory_mib * 0.99 > 10


NESTED = b'{"query": "q", "documents": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

BAD_BODIES: dict[str, tuple[bytes, int, set[tuple[str, str]]]] = {
    "empty": (b"", 400, set()),
    "not JSON": (b"query=q&documents=d", 400, set()),
    "cut short": (b'{"query": "q", "documents": ["a', 400, set()),
    "broken UTF-8": (b'{"query": "q", "documents": ["a\xff"]}', 400, set()),
    "UTF-16": ('{"query": "q", "documents": ["a"]}'.encode("utf-16"), 400, set()),
    "lone surrogate": (b'{"query": "q", "documents": ["\\ud800 and on"]}', 400, set()),
    "NaN": (b'{"query": "q", "documents": ["a"], "top_n": NaN}', 400, set()),
    "Infinity": (b'{"query": "q", "documents": [-Infinity]}', 400, set()),
    "deep nesting": (NESTED, 400, set()),
    "no object": (b"[1, 2]", 422, {("body", "wrong_type")}),
    "nothing in it": (b"{}", 422, {("query", "missing"), ("documents", "missing")}),
    "empty documents": (b'{"query": "q", "documents": []}', 422, {("documents", "too_short")}),
    "blank query": (b'{"query": " ", "documents": []}', 422, {("query", "empty"), ("documents", "too_short")}),
    "documents is text": (b'{"query": "q", "documents": "a"}', 422, {("documents", "wrong_type")}),
    "unknown model": (b'{"query": "q", "documents": ["a"], "model": "gpt"}', 422, {("model", "unknown_model")}),
    "named twice": (
        b'{"query": "q", "documents": ["a"], "top_n": 1, "top_k": 2, "max_doc_length": 3, "max_tokens_per_doc": 4}',
        422,
        {("top_k", "duplicate"), ("max_tokens_per_doc", "duplicate")},
    ),
    "everything at once": (
        b'{"query": 5, "documents": ["a", 1, null, {"text": 2}, {"image": "u"}], "top_k": 0, "truncate": "yes", '
        b'"max_tokens_per_doc": 1.5, "model": "gpt"}',
        422,
        {
            ("query", "wrong_type"),
            ("documents[1]", "wrong_type"),
            ("documents[2]", "wrong_type"),
            ("documents[3].text", "wrong_type"),
            ("documents[4].text", "missing"),
            ("top_k", "wrong_type"),
            ("truncate", "wrong_type"),
            ("max_tokens_per_doc", "wrong_type"),
            ("model", "unknown_model"),
        },
    ),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_told_every_fault_and_the_server_goes_on(server: Any, name: str) -> None:
    body, status, faults = BAD_BODIES[name]
    answer = server.http.post("/invocations", content=body)
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert isinstance(document["detail"], str)
    assert document["detail"]
    assert {(error["field"], error["type"]) for error in document.get("errors", [])} == faults
    assert server.rerank({"query": "q", "documents": ["d"]}).status_code == 200


def test_a_message_names_the_value_and_what_was_expected(server: Any) -> None:
    answer = server.rerank({"query": "q", "documents": [7], "model": "gpt"}).json()
    assert answer["detail"] == (
        "documents[0]: is 7; expected a string or an object with text; "
        "model: is 'gpt'; this server has small-jinabert (seeded random weights); name that one or none"
    )


def test_documents_that_may_not_be_cut_are_named(server: Any) -> None:
    documents = ["fits", "x" * 9000, "fits too", "y" * 10_000]
    answer = server.rerank({"query": "q", "documents": documents, "truncate": False})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["documents[1]", "documents[3]"]
    assert server.rerank({"query": "q", "documents": documents[::2], "truncate": False}).status_code == 200


def test_a_query_that_leaves_no_room_is_a_fault(server: Any) -> None:
    answer = server.rerank({"query": "q" * 5000, "documents": ["d"]})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["query"]


def test_26_mb_are_refused_and_the_connection_serves_on(server: Any) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        body = b'{"query": "q", "documents": ["' + b"a" * 26_000_000 + b'"]}'
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert read_status(connection) == 413
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_status(connection) == 200


def test_a_chunked_body_of_unknown_length_is_bounded_too(server: Any) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(400):
            yield b"a" * 65_536

    answer = server.http.post("/invocations", content=endless())
    assert answer.status_code == 413
    assert answer.json()["detail"] == "the body has more than 25,000,000 bytes; at most 25 MB are taken"


def test_a_chunked_body_is_read(server: Any) -> None:
    answer = server.http.post("/invocations", content=iter([b'{"query": "q", ', b'"documents": ["d"]}']))
    assert answer.status_code == 200


def test_an_announced_size_is_refused_before_anything_is_sent(server: Any) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"
        )
        assert read_status(connection) == 413


def test_compressed_bodies_are_refused_in_words(server: Any) -> None:
    answer = server.http.post("/invocations", content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert "gzip" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("HEAD", "/nowhere", 404),
        ("POST", "/ping", 405),
        ("GET", "/invocations", 405),
        ("HEAD", "/invocations", 405),
        ("DELETE", "/rerank", 405),
    ],
)
def test_wrong_paths_and_methods_answer_in_json(server: Any, method: str, path: str, status: int) -> None:
    answer = server.http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    if method != "HEAD":
        assert "POST /invocations" in answer.json()["detail"]


def test_an_unknown_dialect_is_a_fault(server: Any) -> None:
    body = {"query": "q", "documents": ["d"]}
    answer = server.rerank(body, headers={CUSTOM_ATTRIBUTES: "dialect=klingon"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["type"] == "unknown_dialect"
    assert server.rerank(body, headers={CUSTOM_ATTRIBUTES: "trace=7; dialect=jina"}).status_code == 200
    assert server.rerank(body, headers={CUSTOM_ATTRIBUTES: "c000b4f9-df62-4c85"}).status_code == 200


def test_logs_say_what_happened_and_never_the_texts(server: Any) -> None:
    secret = "swordfish"
    server.rerank({"query": secret, "documents": [secret, secret]}, headers={"X-Amzn-SageMaker-Inference-Id": "log-ok"})
    server.rerank(
        {"query": [secret], "documents": secret, "model": secret},
        headers={"X-Amzn-SageMaker-Inference-Id": "log-bad"},
    )
    by_id = {event.get("inference_id"): event for event in server.events("request")}
    good, bad = by_id["log-ok"], by_id["log-bad"]
    assert (good["dialect"], good["status"], good["outcome"], good["documents"]) == ("jina", 200, "ok", 2)
    assert good["tokens"] == 2 * (9 + 9 + 3)
    assert good["inference_ms"] > 0
    assert (bad["status"], bad["outcome"]) == (422, "invalid")
    assert bad["faults"] == ["query: wrong_type", "documents: wrong_type", "model: unknown_model"]
    assert secret not in server.log.read_text()


def test_metrics_count_what_was_answered(server: Any) -> None:
    samples = [
        'rerank_requests_total{dialect="jina",outcome="ok"}',
        'rerank_requests_total{dialect="jina",outcome="invalid"}',
        "rerank_documents_total",
        "rerank_tokens_total",
        "rerank_inference_seconds_count",
        "rerank_queue_seconds_count",
    ]
    before = [server.metric(sample) for sample in samples]
    server.rerank({"query": "q", "documents": ["a", "b", "c"]})
    server.rerank({"query": "q", "documents": []})
    after = [server.metric(sample) for sample in samples]
    assert [new - old for old, new in zip(before, after, strict=True)] == [1, 1, 3, 15, 1, 1]
    assert server.metric("rerank_queued_tokens") == 0
    assert server.metric("rerank_ready") == 1
    assert server.metric("rerank_memory_bytes") > 1e7
    assert server.metric("rerank_batch_tokens_count") > 0
    assert 'rerank_model_info{dtype="fp32",engine="torch"' in server.http.get("/metrics").text


def test_a_caller_who_leaves_is_dropped_before_compute(server: Any) -> None:
    gone = 'rerank_requests_total{dialect="jina",outcome="abandoned"}'
    before = server.metric(gone), server.metric("rerank_tokens_total")
    long = {"query": "q", "documents": ["x" * 8000] * 20}
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        body = msgspec.json.encode(long)
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        server.wait_until(lambda: server.metric("rerank_queued_tokens") > 0)
    server.wait_until(lambda: server.metric(gone) == before[0] + 1)
    assert server.metric("rerank_queued_tokens") == 0
    assert server.rerank({"query": "q", "documents": ["d"]}).status_code == 200
    assert server.metric("rerank_tokens_total") == before[1] + 5


def test_a_small_request_does_not_wait_for_a_large_one(server: Any) -> None:
    finished: list[str] = []

    def ask(name: str, documents: int) -> None:
        answer = server.rerank({"query": "q", "documents": ["x" * 1000] * documents, "return_documents": False})
        assert answer.status_code == 200
        finished.append(name)

    large = threading.Thread(target=ask, args=("large", 60))
    large.start()
    server.wait_until(lambda: server.metric("rerank_queued_tokens") > 20_000)
    ask("small", 1)
    large.join()
    assert finished == ["small", "large"]


def read_status(connection: socket.socket) -> int:
    """The status of one answer, of which the headers and the announced body are read."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        stream.read(length)
        return status
