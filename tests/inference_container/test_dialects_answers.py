"""Each dialect's answers and errors, as its callers read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from inference_container.dialects import DIALECTS, ROWS, ModelNames, Ranking
from inference_container.errors import (
    BodyTooLarge,
    EngineFailed,
    InvalidRequest,
    NotJson,
    NotReady,
    QueueFull,
    RequestTooLarge,
    ServingError,
    TookTooLong,
    Unforeseen,
    WouldBeLate,
)
from rerank_toolkit.contracts.faults import Fault

NAMES = ModelNames("the-model", frozenset({"the-model"}))
HALF = pytest.approx(0.5)
BEST = pytest.approx(0.7310586)

Ask = Callable[..., Any]


def ask(name: str, body: object, *logits: float, truncated: int = 0) -> Any:
    """The answer to `body`, from a query of 2 tokens, documents of 1, 2, 3, … and 3 special tokens each."""
    count = len(logits)
    lengths = [2 + 3 + length for length in range(1, count + 1)]
    cut = [index < truncated for index in range(count)]
    ranking = Ranking("m", np.array(logits, dtype=np.float32), lengths, [2] * count, cut)
    dialect = ROWS if name == "rows" else DIALECTS[name]
    return msgspec.json.decode(msgspec.json.encode(dialect.parse(body, NAMES).render(ranking)))


def error(name: str, failure: ServingError) -> Any:
    return msgspec.json.decode(msgspec.json.encode(DIALECTS[name].render_error(failure)))


def test_jina_is_best_first_with_the_documents_unless_told_otherwise() -> None:
    body = {"query": "q", "documents": ["a", {"text": "b"}, "c"]}
    assert ask("jina", body, 0.0, 1.0, -1.0, truncated=1) == {
        "model": "m",
        "object": "list",
        "usage": {"total_tokens": 6 + 7 + 8, "truncated_documents": 1},
        "results": [
            {"index": 1, "relevance_score": BEST, "document": {"text": "b"}},
            {"index": 0, "relevance_score": 0.5, "document": {"text": "a"}},
            {"index": 2, "relevance_score": pytest.approx(0.2689414), "document": {"text": "c"}},
        ],
    }
    short = ask("jina", {**body, "top_n": 1, "return_documents": False}, 0.0, 1.0, -1.0)
    assert short["results"] == [{"index": 1, "relevance_score": BEST}]


def test_equal_scores_keep_the_caller_s_order_and_saturated_ones_that_of_the_logits() -> None:
    body = {"query": "q", "documents": ["a", "b", "c", "d"]}
    assert [result["index"] for result in ask("jina", body, 1.0, 2.0, 1.0, 2.0)["results"]] == [1, 3, 0, 2]
    assert [result["index"] for result in ask("jina", body, 100.0, 200.0, 50.0, 150.0)["results"]] == [1, 3, 0, 2]


def test_scores_are_the_logistic_function_at_any_size() -> None:
    body = {"text_pairs": [["q", "d"]] * 5}
    expected = [1.0, 0.8175744761936437, 0.5, 0.18242552380635635, 0.0]
    assert ask("langchain", body, 2000.0, 1.5, 0.0, -1.5, -2000.0)["scores"] == pytest.approx(expected, abs=1e-12)


def test_jina_sagemaker_has_an_entry_for_each_item_and_an_id_for_everything() -> None:
    body = {"data": [{"query": "q", "documents": ["a", "b"], "top_n": 1}, {"query": "p", "documents": ["c"]}]}
    answer = ask("jina-sagemaker", body, 0.0, 1.0, 0.0)
    ids = [
        found.pop("id")
        for entry in answer["data"]
        for found in (
            entry, entry["query_usage"],
            *(part for result in entry["results"] for part in (result, result["document"], result["usage"])),
        )
    ]  # fmt: skip
    assert len(set(ids)) == 2 * 5
    assert all(len(name) == 32 and int(name, 16) for name in ids)
    assert answer == {
        "data": [
            {
                "query_usage": {"total_tokens": 2},
                "results": [
                    {"index": 1, "document": {"text": "b"}, "relevance_score": BEST, "usage": {"total_tokens": 5}}
                ],
            },
            {
                "query_usage": {"total_tokens": 2},
                "results": [
                    {"index": 0, "document": {"text": "c"}, "relevance_score": HALF, "usage": {"total_tokens": 6}}
                ],
            },
        ],
        "parameters": {},
    }


def test_rows_are_answered_one_a_line_under_their_ids() -> None:
    rows = [{"id": "one", "query": "q", "documents": ["a"]}, {"query": "p", "documents": ["b"]}]
    answers = ask("rows", rows, 0.0, 1.0)
    assert [len(answer["data"]) for answer in answers] == [1, 1]
    assert answers[0]["data"][0]["id"] == "one"
    assert answers[1]["data"][0]["results"][0]["document"]["text"] == "b"


def test_langchain_is_in_the_order_of_the_pairs() -> None:
    assert ask("langchain", {"text_pairs": [["q", "a"], ["p", "b"]]}, 0.0, 1.0) == {"scores": [HALF, BEST]}
    assert ask("langchain", {"text_pairs": []}) == {"scores": []}


def test_huggingface_is_in_the_order_of_the_inputs() -> None:
    inputs = [{"text": "q", "text_pair": "a"}, {"text": "p", "text_pair": "b"}]
    labels = [{"label": "LABEL_0", "score": HALF}, {"label": "LABEL_0", "score": BEST}]
    assert ask("huggingface", {"inputs": inputs}, 0.0, 1.0) == labels
    assert ask("huggingface", {"inputs": inputs[0]}, 0.0) == labels[:1]
    for raw in ({"raw_scores": True}, {"parameters": {"function_to_apply": "none", "top_k": None}}):
        assert ask("huggingface", {"inputs": inputs[1], **raw}, 3.0) == [{"label": "LABEL_0", "score": 3.0}]


def test_tei_is_best_first_and_brings_texts_and_logits_when_asked() -> None:
    body = {"query": "q", "texts": ["a", "b"]}
    assert ask("tei", body, 0.0, 1.0) == [{"index": 1, "score": BEST}, {"index": 0, "score": 0.5}]
    assert ask("tei", {**body, "raw_scores": True, "return_text": True}, -2.0, 1.0) == [
        {"index": 1, "score": 1.0, "text": "b"},
        {"index": 0, "score": -2.0, "text": "a"},
    ]
    for direction in ("left", "Left"):
        [task] = DIALECTS["tei"].parse({**body, "truncation_direction": direction}, NAMES).tasks
        assert task.truncation_direction == "left"


def test_cohere_counts_search_units_and_real_tokens_and_warns_of_cuts() -> None:
    body = {"query": "q", "documents": ["a", "b"], "top_n": 1}
    answer = ask("cohere", body, 0.0, 1.0, truncated=1)
    assert answer.pop("id")
    assert answer == {
        "results": [{"index": 1, "relevance_score": BEST}],
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": 6 + 7},
            "warnings": ["1 of 2 documents were cut to fit"],
        },
    }
    many = ask("cohere", {"query": "q", "documents": ["a"] * 101}, *[0.0] * 101)
    assert many["meta"]["billed_units"] == {"search_units": 2}


def test_cohere_1_brings_documents_back_and_reads_the_fields_it_is_told() -> None:
    body = {"query": "q", "documents": [{"title": "T", "text": "x"}, "plain"], "api_version": 1}
    [task] = DIALECTS["cohere"].parse({**body, "rank_fields": ["title", "text"]}, NAMES).tasks
    assert task.documents == ["T\nx", "plain"]
    assert task.max_document_tokens is None
    [task] = DIALECTS["cohere"].parse({**body, "api_version": 2}, NAMES).tasks
    assert (task.documents, task.max_document_tokens) == (["x", "plain"], 4096)
    answer = ask("cohere", {**body, "return_documents": True}, 1.0, 0.0)
    assert [result["document"] for result in answer["results"]] == [{"text": "x"}, {"text": "plain"}]
    assert answer["meta"]["api_version"] == {"version": "1"}


FAULTS = InvalidRequest([Fault("query", "is missing", "missing"), Fault("texts", "is empty", "empty")])


@pytest.mark.parametrize("name", ["jina", "jina-sagemaker", "langchain", "embeddings"])
def test_jina_s_errors_have_a_detail_and_faults_their_list(name: str) -> None:
    assert error(name, FAULTS) == {
        "detail": "query: is missing; texts: is empty",
        "errors": [
            {"field": "query", "message": "is missing", "type": "missing"},
            {"field": "texts", "message": "is empty", "type": "empty"},
        ],
    }
    assert error(name, NotReady("not yet", reason="starting")) == {"detail": "not yet"}
    assert DIALECTS[name].error_status(FAULTS) == 422


def test_cohere_s_errors_have_a_message() -> None:
    assert error("cohere", FAULTS) == {"message": "query: is missing; texts: is empty"}
    assert DIALECTS["cohere"].error_status(QueueFull("full", reason="queue_full")) == 429


@pytest.mark.parametrize("name", ["tei", "huggingface"])
@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (FAULTS, 422, "validation"),
        (InvalidRequest([Fault("texts", "is empty", "too_short")]), 400, "empty"),
        (NotJson("no JSON"), 400, "validation"),
        (BodyTooLarge("too large"), 413, "validation"),
        (RequestTooLarge("too large", reason="too_large"), 413, "validation"),
        (QueueFull("full", reason="queue_full"), 429, "overloaded"),
        (WouldBeLate("late", reason="too_late"), 429, "overloaded"),
        (TookTooLong("late"), 429, "overloaded"),
        (NotReady("not yet", reason="starting"), 503, "unhealthy"),
        (EngineFailed("broken"), 424, "backend"),
        (Unforeseen(LookupError()), 500, "backend"),
    ],
)
def test_tei_s_errors_have_a_type_and_statuses_of_their_own(
    name: str, failure: ServingError, status: int, kind: str
) -> None:
    assert error(name, failure) == {"error": str(failure), "error_type": kind}
    assert DIALECTS[name].error_status(failure) == status
