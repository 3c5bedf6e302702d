from __future__ import annotations

import httpx
import pytest

from rerank_toolkit.client import (
    EndpointNotFound,
    InvalidRequest,
    NotAuthorized,
    Overloaded,
    RankedDocument,
    RerankClient,
    Retries,
    ServerFailed,
    TimedOut,
    UnexpectedAnswer,
    Unreachable,
)
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES, Origin, encode_origin

ONCE = Retries(attempts=1)

ORIGIN = Origin(
    model="tiny",
    engine="torch",
    engine_version="2.13.0",
    dtype="fp32",
    threads=2,
    token_budget=2048,
    cpu_model="AMD EPYC",
    instruction_set="avx512_bf16",
    architecture="x86_64",
    logical_cpus=2,
    physical_cores=2,
    hardware_memory_mib=24576,
    queue_ms=1.25,
    inference_ms=20.5,
    tokens=31,
    sum_squared_tokens=481,
    batches=1,
    memory_mib=300.0,
    peak_memory_mib=400.0,
    startup_s=1.5,
)


def ask(loopback, **options):
    with RerankClient(loopback.url, retries=ONCE) as client:
        return client.rerank("which?", ["first", "second"], **options)


def test_an_answer_comes_back_typed_and_with_its_origin(loopback):
    loopback.will_rank(**{CUSTOM_ATTRIBUTES: encode_origin(ORIGIN)})

    result = ask(loopback, top_n=2, return_documents=True)

    assert result.results == (RankedDocument(1, 0.75, "second"), RankedDocument(0, 0.25, "first"))
    assert result.usage.total_tokens == 31
    assert result.model == "tiny"
    assert result.origin == ORIGIN


def test_what_is_asked_for_is_what_is_sent(loopback):
    loopback.will_rank()

    ask(loopback, top_n=1, max_document_tokens=64)

    assert loopback.paths == ["/invocations"]
    assert loopback.bodies == [
        {
            "query": "which?",
            "documents": ["first", "second"],
            "top_n": 1,
            "return_documents": False,
            "max_doc_length": 64,
        }
    ]


def test_an_address_with_a_path_is_used_as_it_is(loopback):
    loopback.will_rank()

    with RerankClient(f"{loopback.url}/v1/rerank") as client:
        client.rerank("which?", ["first", "second"])

    assert loopback.paths == ["/v1/rerank"]


def test_an_answer_of_another_container_has_no_origin(loopback):
    assert ask(loopback.will_rank()).origin is None


def test_a_client_of_the_callers_brings_its_headers_and_stays_open(loopback):
    loopback.will_rank()
    with httpx.Client(headers={"Authorization": "Bearer x"}, trust_env=False) as http_client:
        with RerankClient.over_http(loopback.url, http_client=http_client) as client:
            client.rerank("which?", ["first", "second"])

        assert not http_client.is_closed


def test_all_faults_of_a_422_are_carried_over(loopback):
    errors = [
        {"field": "top_n", "message": "is 9", "type": "too_large"},
        {"field": "model", "message": "?", "type": "x"},
    ]
    loopback.will_answer(422, {"detail": "2 faults", "errors": errors})

    with pytest.raises(InvalidRequest) as caught:
        ask(loopback)

    assert caught.value.status == 422
    assert caught.value.faults == (Fault("top_n", "is 9", "too_large"), Fault("model", "?", "x"))
    assert "2 faults" in str(caught.value) and "top_n: is 9" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, NotAuthorized),
        (404, EndpointNotFound),
        (413, InvalidRequest),
        (429, Overloaded),
        (500, ServerFailed),
        (502, ServerFailed),
        (503, Overloaded),
    ],
)
def test_each_status_has_its_error(loopback, status, kind):
    loopback.will_answer(status, {"detail": "why it is so"})

    with pytest.raises(kind, match="why it is so") as caught:
        ask(loopback)

    assert caught.value.status == status


def test_an_address_without_a_reranker_is_told_what_one_looks_like(loopback):
    loopback.will_answer(404, {"detail": "no such path"})

    with pytest.raises(EndpointNotFound, match="such as http://127"):
        ask(loopback)


@pytest.mark.parametrize(("header", "seconds"), [("2.5", 2.5), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("inf", None)])
def test_a_refusal_says_when_to_come_back(loopback, header, seconds):
    loopback.will_answer(503, {"detail": "full"}, Retry_After=header)

    with pytest.raises(Overloaded) as caught:
        ask(loopback)

    assert caught.value.retry_after == seconds


def test_an_error_page_that_is_not_ours_is_shown_cut(loopback):
    loopback.will_answer(502, b"<html>" + b"x" * 10_000)

    with pytest.raises(ServerFailed, match=r"Bad Gateway\): <html>xxx") as caught:
        ask(loopback)

    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("body", [b"<html>", {"predictions": [1]}, b"\xff\xfe"])
def test_an_answer_of_something_else_is_refused(loopback, body):
    loopback.will_answer(200, body)

    with pytest.raises(UnexpectedAnswer, match="another model"):
        ask(loopback)


def test_nobody_listening(unused_url):
    with RerankClient(unused_url, retries=ONCE) as client, pytest.raises(Unreachable, match="rerank serve"):
        client.rerank("which?", ["first"])


def test_no_answer_in_time(silent_url):
    with RerankClient(silent_url, timeout_s=0.1) as client, pytest.raises(TimedOut, match="timeout_s"):
        client.rerank("which?", ["first"])


@pytest.mark.parametrize("url", ["http://", "http://host:port"])
def test_an_address_that_is_none(url):
    with pytest.raises(InvalidRequest, match="expected http://HOST:PORT"):
        RerankClient(url)


def test_a_proxy_is_not_asked_for_loopback(loopback, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert ask(loopback.will_rank()).model == "tiny"
