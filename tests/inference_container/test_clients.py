"""Other projects' clients against a server on loopback, each as its users install and call it."""

from __future__ import annotations

import math
from typing import Any

import pytest

QUERY = "What is the capital of Germany?"
DOCUMENTS = ["Bananas are rich in potassium.", "Berlin is the capital of Germany."]


@pytest.fixture(scope="module")
def scores(server: Any) -> list[float]:
    """Of the two documents, by our own default dialect."""
    results = server.rerank({"query": QUERY, "documents": DOCUMENTS}).json()["results"]
    return [result["relevance_score"] for result in sorted(results, key=lambda result: result["index"])]


def test_the_sdk_of_cohere(server: Any, scores: list[float], run_caller: Any) -> None:
    told = run_caller("cohere_http.py", server.url, "small-jinabert")
    assert {result["index"]: result["relevance_score"] for result in told["v1_plain"]["results"]} == pytest.approx(
        dict(enumerate(scores))
    )
    [first] = told["v1"]["results"]
    assert first["document"] == {"text": f"Fruit\n{DOCUMENTS[first['index']]}"}
    assert told["v1"]["meta"]["api_version"]["version"] == "1"
    assert len(told["v2"]["results"]) == 1
    meta = told["v2"]["meta"]
    assert (meta["api_version"]["version"], meta["billed_units"]["search_units"]) == ("2", 1)
    assert meta["tokens"]["input_tokens"] == 2 * (len(QUERY) + 3 + 3)
    assert meta["warnings"] == ["2 of 2 documents were cut to fit"]
    assert told["refused"]["status"] == 422
    message = told["refused"]["body"]["message"]
    assert all(part in message for part in ("documents: has 0 items", "query: is empty", "model: is 'rerank-v3.5'"))


def test_jina_rerank_of_langchain(server: Any, scores: list[float], run_caller: Any) -> None:
    told = run_caller("langchain_jina.py", server.url, "small-jinabert")
    best = max(range(2), key=scores.__getitem__)
    assert {result["index"]: result["relevance_score"] for result in told["ranked"]} == pytest.approx(
        dict(enumerate(scores))
    )
    assert told["best"] == [
        {"text": DOCUMENTS[best], "page": best, "relevance_score": pytest.approx(scores[best])},
    ]
    assert "model: is 'jina-reranker-v9'; this server has small-jinabert" in told["refused"]


def test_the_rerankers_of_llama_index(server: Any, scores: list[float], run_caller: Any) -> None:
    told = run_caller("llama_index_http.py", server.url, "small-jinabert")
    ranked = sorted(zip(DOCUMENTS, scores, strict=True), key=lambda pair: -pair[1])
    assert [(node["text"], node["score"]) for node in told["tei"]] == [
        (text, pytest.approx(score)) for text, score in ranked
    ]
    assert [(node["text"], node["score"]) for node in told["jina"]] == [(ranked[0][0], pytest.approx(ranked[0][1]))]
    assert "model: is 'jina-reranker-v1-base-en'" in told["refused"]
    assert all(math.isfinite(node["score"]) for node in told["tei"])
