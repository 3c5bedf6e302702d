"""Batch transform asks how it may send, then sends rows of CSV or lines of JSON, as many as fit into one body."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from inference_container.batch_transform import batch_parameters
from rerank_toolkit.contracts.settings import Settings
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES

ROWS = (
    rb"one,where's the cat,[{\"text\": \"a cat sat\"}\, {\"text\": \"dogs\"}],1" + b"\n"
    rb"two,snow\, in May?,[{\"text\": \"snow in May\"}\, {\"text\": \"mats\"}\, {\"text\": \"\"}],3" + b"\n"
)
LINES = [
    {"query": "where is the cat", "documents": ["a cat sat", "dogs"], "top_n": 1},
    {"query": "snow", "documents": ["snow in May"], "return_documents": False},
]


def post(server: Any, body: bytes, content_type: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.http.post("/invocations", content=body, headers={"content-type": content_type, **named})


def lines_of(answer: Any) -> list[Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/jsonlines"
    assert answer.content.endswith(b"\n")
    return [json.loads(line) for line in answer.content.splitlines()]


def test_what_a_job_is_told(server: Any) -> None:
    answer = server.http.get("/execution-parameters")
    assert (answer.status_code, answer.json()) == (
        200,
        {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6},
    )


@pytest.mark.parametrize(("max_body_mb", "payload"), [(0.5, 1), (3.9, 3), (100, 6)])
def test_no_payload_larger_than_the_server_takes(max_body_mb: float, payload: int) -> None:
    told = msgspec.to_builtins(batch_parameters(Settings(max_body_mb=max_body_mb)))
    assert told["MaxPayloadInMB"] == payload


def test_rows_are_answered_one_a_line_in_their_order_under_their_ids(server: Any) -> None:
    answers = lines_of(post(server, ROWS, "text/csv"))
    assert [[entry["id"] for entry in answer["data"]] for answer in answers] == [["one"], ["two"]]
    assert [len(answer["data"][0]["results"]) for answer in answers] == [1, 3]
    alone = server.rerank({"query": "snow, in May?", "documents": ["snow in May", "mats", ""]}).json()["results"]
    assert [result["relevance_score"] for result in answers[1]["data"][0]["results"]] == pytest.approx(
        [result["relevance_score"] for result in alone], abs=1e-4
    )


def test_who_accepts_json_alone_gets_all_rows_in_one_document(server: Any) -> None:
    answer = post(server, ROWS, "text/csv; charset=utf-8", accept="application/json")
    assert answer.headers["content-type"] == "application/json"
    assert [entry["id"] for entry in answer.json()["data"]] == ["one", "two"]


def test_rows_with_faults_are_all_named(server: Any) -> None:
    answer = post(server, b'1,,["a"],0\n2,q,[3]\nquery,documents\n', "text/csv")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [
        "rows[0].top_n",
        "rows[0].query",
        "rows[1].documents[0]",
        "rows[2]",
    ]
    assert "rows[2]: has no JSON list of documents in its third column" in answer.json()["detail"]
    assert post(server, b"", "text/csv").status_code == 400


@pytest.mark.parametrize("content_type", ["application/jsonlines", "application/json"])
def test_lines_are_bodies_of_their_own(server: Any, content_type: str) -> None:
    body = b"\n".join(map(msgspec.json.encode, LINES)) + b"\n"
    answers = lines_of(post(server, body, content_type))
    alone = [server.rerank(line).json() for line in LINES]
    for answer, expected in zip(answers, alone, strict=True):
        assert answer["usage"] == expected["usage"]
        for found, result in zip(answer["results"], expected["results"], strict=True):
            assert found == {**result, "relevance_score": pytest.approx(result["relevance_score"], abs=1e-4)}


def test_a_fault_names_its_line(server: Any) -> None:
    answer = post(server, b'{"query": "q", "texts": ["a"]}\n{"query": "", "texts": [1]}', "application/jsonlines")
    assert answer.status_code == 422
    assert answer.json()["error_type"] == "validation"
    assert answer.json()["error"].startswith("lines[1].texts[0]: is 1; ")
    answer = post(server, b'{"query": "q", "texts": ["a"]}\n{broken', "application/jsonlines")
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (400, "line 2")


def test_one_document_for_who_accepts_lines_is_a_line(server: Any) -> None:
    body = msgspec.json.encode(LINES[0])
    assert len(lines_of(post(server, body, "application/json", accept="application/jsonlines"))) == 1


def test_the_attributes_name_a_dialect_for_every_layout(server: Any) -> None:
    cohere = {CUSTOM_ATTRIBUTES: "dialect=cohere"}
    [first, second] = lines_of(
        post(server, b"\n".join(map(msgspec.json.encode, LINES)), "application/jsonlines", **cohere)
    )
    assert first["meta"]["api_version"] == second["meta"]["api_version"] == {"version": "2"}
    answer = post(server, b"{}", "application/json", **cohere)
    assert (answer.status_code, [*answer.json()]) == (422, ["message"])


def test_a_charset_that_is_not_utf_8_is_refused(server: Any) -> None:
    answer = post(server, b'{"query": "q", "documents": ["\xe9"]}', "application/json; charset=latin-1")
    assert (answer.status_code, answer.json()["detail"]) == (
        415,
        "the charset of Content-Type is 'latin-1'; send UTF-8",
    )
