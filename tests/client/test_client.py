from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rerank_toolkit.client import InvalidRequest, RerankClient


@pytest.fixture
def client(loopback):
    with RerankClient(loopback.will_rank().url) as client:
        yield client


def test_faults_that_can_be_seen_from_here_are_not_sent(client, loopback):
    with pytest.raises(InvalidRequest) as caught:
        client.rerank(7, ["fine", None], top_n=0, max_document_tokens=0)  # a caller without a type checker

    assert [fault.field for fault in caught.value.faults] == ["query", "documents[1]", "top_n", "max_doc_length"]
    assert loopback.paths == []


@pytest.mark.parametrize(
    ("documents", "says"),
    [
        ("one text", "is a string; expected a list"),
        ([], "at least 1"),
        (["fine", "half \ud83d"], r"documents\[1\].*UTF-8"),
    ],
)
def test_documents_that_are_none(client, loopback, documents, says):
    with pytest.raises(InvalidRequest, match=says):
        client.rerank("which?", documents)

    assert loopback.paths == []


def test_a_body_beyond_what_sagemaker_takes_is_not_sent(client, loopback):
    with pytest.raises(
        InvalidRequest, match=r"25,000,\d\d\d bytes, an endpoint takes at most 25 MB \(25,000,000\); spread the 25 doc"
    ):
        client.rerank("which?", ["x" * 1_000_000] * 25)

    assert loopback.paths == []


def test_threads_may_share_a_client(client):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: client.rerank(f"question {i}", ["first", "second"]), range(64)))

    assert {result.results[0].index for result in results} == {1}
