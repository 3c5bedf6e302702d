"""Jina's bodies, read and written without a server."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from inference_container.dialects import DEFAULT, ModelNames, Ranking, RerankTask, choose_dialect
from inference_container.errors import InvalidRequest, NotReady, ServingError
from rerank_toolkit.contracts.wire import RerankResponse

NAMES = ModelNames("the-model", frozenset({"the-model", "alias"}))
BODY = {"query": "q", "documents": ["a", {"text": "b"}]}


def parse(body: object) -> RerankTask:
    return DEFAULT.parse(body, NAMES)


def faults(body: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as raised:
        parse(body)
    return [(fault.field, fault.type) for fault in raised.value.faults]


def render(task: RerankTask, *logits: float) -> RerankResponse:
    ranking = Ranking("m", np.array(logits, dtype=np.float32), tokens=1, truncated_documents=0)
    response = DEFAULT.render(task, ranking)
    assert isinstance(response, RerankResponse)
    return response


def test_a_plain_body() -> None:
    assert parse(BODY) == RerankTask("q", ["a", "b"])


def test_aliases_of_other_apis() -> None:
    task = parse({**BODY, "top_k": 3, "max_tokens_per_doc": 64})
    assert (task.top_n, task.max_document_tokens) == (3, 64)


def test_a_null_option_is_an_absent_one() -> None:
    options = ("model", "top_n", "top_k", "return_documents", "max_doc_length", "max_tokens_per_doc", "truncate")
    assert parse({**BODY, **dict.fromkeys(options)}) == parse(BODY)
    assert faults({"query": None, "documents": None}) == [("query", "wrong_type"), ("documents", "wrong_type")]


def test_fields_we_do_not_know_are_ignored() -> None:
    assert parse({**BODY, "user": "someone"}) == parse(BODY)


def test_a_fault_is_named_as_the_caller_named_the_field() -> None:
    assert faults({**BODY, "top_k": 0}) == [("top_k", "wrong_type")]
    assert faults({**BODY, "top_n": 0}) == [("top_n", "wrong_type")]


def test_a_blank_query_is_a_fault_in_either_form_and_beside_others() -> None:
    assert faults({"query": "\n", "documents": [1]}) == [("documents[0]", "wrong_type"), ("query", "empty")]
    assert faults({"query": {"text": ""}, "documents": ["a"]}) == [("query", "empty")]


@pytest.mark.parametrize("name", ["the-model", "THE-MODEL", "owner/the-model", "alias"])
def test_the_model_by_its_names(name: str) -> None:
    assert parse({**BODY, "model": name}) == parse(BODY)


def test_another_model_is_a_fault() -> None:
    assert faults({**BODY, "model": "the-model-2"}) == [("model", "unknown_model")]


def test_equal_scores_keep_the_callers_order() -> None:
    response = render(RerankTask("q", ["a", "b", "c", "d"]), 1.0, 2.0, 1.0, 2.0)
    assert [result.index for result in response.results] == [1, 3, 0, 2]


def test_scores_are_the_logistic_function_at_any_size() -> None:
    response = render(RerankTask("q", ["a"] * 5), 2000.0, 1.5, 0.0, -1.5, -2000.0)
    scores = [result.relevance_score for result in response.results]
    assert scores == pytest.approx([1.0, 0.8175744761936437, 0.5, 0.18242552380635635, 0.0], abs=1e-12)


def test_order_is_by_logit_where_scores_saturate() -> None:
    response = render(RerankTask("q", ["a", "b"]), 100.0, 200.0)
    assert [result.index for result in response.results] == [1, 0]


def test_top_n_and_documents() -> None:
    response = render(RerankTask("q", ["a", "b"], top_n=1, return_documents=False), 0.0, 1.0)
    assert msgspec.to_builtins(response)["results"] == [{"index": 1, "relevance_score": pytest.approx(0.7310586)}]


def test_errors_have_a_detail_and_faults_their_list() -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse({"query": "q"})
    assert msgspec.to_builtins(DEFAULT.render_error(raised.value)) == {
        "detail": "documents: is missing",
        "errors": [{"field": "documents", "message": "is missing", "type": "missing"}],
    }
    other: ServingError = NotReady("not yet", reason="starting")
    assert msgspec.to_builtins(DEFAULT.render_error(other)) == {"detail": "not yet"}


def test_the_dialect_named_in_the_attributes_is_taken() -> None:
    assert choose_dialect("trace=1; dialect=jina") is DEFAULT
    assert choose_dialect(None) is DEFAULT
    with pytest.raises(InvalidRequest, match="known are jina"):
        choose_dialect("dialect=other")
