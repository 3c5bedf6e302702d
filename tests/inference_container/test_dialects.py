"""What every dialect has in common, and which one a request is taken to speak."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from inference_container.dialects import (
    DEFAULT,
    DIALECTS,
    Dialect,
    Inquiry,
    JsonLines,
    ModelNames,
    Ranking,
    detect_dialect,
    named_dialect,
)
from inference_container.errors import InvalidRequest

NAMES = ModelNames("the-model", frozenset({"the-model", "alias"}))

# The same two pairs in each dialect.
BODIES: dict[str, dict[str, Any]] = {
    "jina": {"query": "q", "documents": ["a", {"text": "b"}]},
    "jina-sagemaker": {"data": {"query": "q", "documents": ["a", {"text": "b"}]}},
    "langchain": {"text_pairs": [["q", "a"], ["q", "b"]]},
    "huggingface": {"inputs": [{"text": "q", "text_pair": "a"}, {"text": "q", "text_pair": "b"}]},
    "tei": {"query": "q", "texts": ["a", "b"]},
    "cohere": {"query": "q", "documents": ["a", {"text": "b"}], "api_version": 2},
}


def faults(dialect: Dialect, body: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as raised:
        dialect.parse(body, NAMES)
    return [(fault.field, fault.type) for fault in raised.value.faults]


def render(inquiry: Inquiry, *logits: float, truncated: int = 0) -> Any:
    """As JSON gives it back, from a query of 2 tokens, documents of 1, 2, 3, … and 3 special tokens each."""
    count = len(logits)
    lengths = [2 + 3 + length for length in range(1, count + 1)]
    cut = [index < truncated for index in range(count)]
    ranking = Ranking("m", np.array(logits, dtype=np.float32), lengths, [2] * count, cut)
    return msgspec.json.decode(msgspec.json.encode(inquiry.render(ranking)))


@pytest.mark.parametrize("name", BODIES)
def test_the_shape_decides_wherever_the_body_comes(name: str) -> None:
    for path in ("/invocations", "/rerank", "/v1/rerank", "/v2/rerank", "/embed", "/v1/embeddings"):
        expected = "cohere" if name == "jina" and path == "/v2/rerank" else name
        assert detect_dialect(BODIES[name], path).name == expected


@pytest.mark.parametrize("name", BODIES)
def test_a_sound_body_asks_for_its_pairs(name: str) -> None:
    [task] = DIALECTS[name].parse(BODIES[name], NAMES).tasks
    assert (list(task.queries), list(task.documents)) == (["q"], ["a", "b"])
    assert (task.truncate, task.truncation_direction) == (True, "right")


@pytest.mark.parametrize(
    ("body", "path", "name"),
    [
        ({"input": ["text"]}, "/invocations", "embeddings"),
        ({}, "/v1/embeddings", "embeddings"),
        ({}, "/embed", "huggingface"),
        ({}, "/invocations", "jina"),
        ([1], "/v2/rerank", "cohere"),
        (None, "/rerank", "jina"),
        ({"texts": ["a"]}, "/rerank", "tei"),
        ({"query": "q", "documents": ["a"], "rank_fields": None}, "/v1/rerank", "cohere"),
        ({"documents": ["a"]}, "/v2/rerank", "cohere"),
        ({"query": "q", "documents": ["a"], "data": None, "inputs": None, "texts": None}, "/invocations", "jina"),
        ({"query": "q", "texts": ["a"], "data": None, "documents": None}, "/invocations", "tei"),
        ({"query": "q", "texts": None}, "/invocations", "tei"),
        ({"query": None, "input": None}, "/invocations", "jina"),
    ],
)
def test_what_no_shape_tells_the_path_does(body: object, path: str, name: str) -> None:
    assert detect_dialect(body, path).name == name


def test_the_version_of_cohere_s_api_is_that_of_its_path() -> None:
    body = {"query": "q", "documents": ["a"], "rank_fields": None}
    for path, version in (("/v1/rerank", "1"), ("/v2/rerank", "2")):
        answer = render(detect_dialect(body, path).parse(body, NAMES), 0.0)
        assert answer["meta"]["api_version"] == {"version": version}


def test_the_dialect_named_in_the_attributes_is_taken() -> None:
    assert named_dialect("trace=1; dialect=jina") is DEFAULT
    assert named_dialect(None) is named_dialect("trace=1") is None
    assert {named_dialect(f"dialect={name}") for name in DIALECTS} == {*DIALECTS.values()}
    with pytest.raises(InvalidRequest, match="dialect is 'other'; known are jina, jina-sagemaker, langchain"):
        named_dialect("dialect=other")


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("body", [None, [], "text", 1, {}, [[]]])
def test_anything_else_is_a_fault(name: str, body: object) -> None:
    assert faults(DIALECTS[name], body)


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("jina", {"query": None, "documents": None}, [("query", "wrong_type"), ("documents", "wrong_type")]),
        ("jina", {"query": "q", "documents": ["a"], "top_k": 0}, [("top_k", "wrong_type")]),
        ("jina", {"query": "q", "documents": ["a"], "top_k": 1, "top_n": 1}, [("top_k", "duplicate")]),
        ("jina", {"query": "\n", "documents": [1]}, [("documents[0]", "wrong_type"), ("query", "empty")]),
        ("jina", {"query": {"text": ""}, "documents": ["a"]}, [("query", "empty")]),
        ("jina", {"query": "q", "documents": ["a"], "model": "the-model-2"}, [("model", "unknown_model")]),
        ("jina-sagemaker", {"data": {}}, [("data.query", "missing"), ("data.documents", "missing")]),
        (
            "jina-sagemaker",
            {"data": [{"query": " ", "documents": []}, {"query": "q", "documents": ["a"], "top_n": 0}]},
            [("data[0].documents", "too_short"), ("data[0].query", "empty"), ("data[1].top_n", "wrong_type")],
        ),
        ("jina-sagemaker", {"data": []}, [("data", "too_short")]),
        ("jina-sagemaker", {"data": 1}, [("data", "wrong_type")]),
        (
            "langchain",
            {"text_pairs": [["q"], ["q", 1], 3, ["", "d"]]},
            [("text_pairs[0]", "wrong_length"), ("text_pairs[1][1]", "wrong_type"), ("text_pairs[2]", "wrong_type")],
        ),
        (
            "langchain",
            {"text_pairs": [["q", "d"], ["", "d"], [" ", "d"]]},
            [("text_pairs[1][0]", "empty"), ("text_pairs[2][0]", "empty")],
        ),
        (
            "huggingface",
            {"inputs": [{"text": "q"}, 1], "parameters": {"function_to_apply": "softmax"}},
            [
                ("parameters.function_to_apply", "wrong_type"),
                ("inputs[0].text_pair", "missing"),
                ("inputs[1]", "wrong_type"),
            ],
        ),
        ("huggingface", {"inputs": []}, [("inputs", "too_short")]),
        ("huggingface", {"inputs": {"text": "", "text_pair": "d"}}, [("inputs.text", "empty")]),
        ("tei", {"query": " ", "texts": []}, [("texts", "too_short"), ("query", "empty")]),
        (
            "tei",
            {"query": "q", "texts": ["a", {"text": "b"}], "truncation_direction": "up"},
            [("texts[1]", "wrong_type"), ("truncation_direction", "wrong_type")],
        ),
        ("cohere", {"query": "q", "documents": [{}], "api_version": 1}, [("documents[0]", "missing")]),
        ("cohere", {"query": "q", "documents": ["a"], "api_version": 3}, [("api_version", "wrong_type")]),
    ],
)
def test_all_faults_at_once_under_the_caller_s_names(name: str, body: object, expected: list[tuple[str, str]]) -> None:
    assert faults(DIALECTS[name], body) == expected


@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_a_thousand_faults_is_answered_with_the_first(name: str) -> None:
    bodies: dict[str, Any] = {
        "jina": {"query": "q", "documents": [0] * 1000},
        "jina-sagemaker": {"data": [{"query": ""}] * 1000},
        "langchain": {"text_pairs": [[" " * index, "d"] for index in range(1000)]},
        "huggingface": {"inputs": [{"text": 0, "text_pair": 0}] * 1000},
        "tei": {"query": "q", "texts": [0] * 1000},
        "cohere": {"query": "q", "documents": [{}] * 1000},
    }
    assert 20 <= len(faults(DIALECTS[name], bodies[name])) <= 22


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("embeddings", {"input": "text"}),
        ("huggingface", {"inputs": "text"}),
        ("huggingface", {"inputs": ["text", "text"]}),
        ("jina-sagemaker", {"data": [{"text": "text"}]}),
        ("jina-sagemaker", {"data": {"text": "text"}}),
    ],
)
def test_who_asks_for_embeddings_is_told_what_is_served(name: str, body: object) -> None:
    with pytest.raises(InvalidRequest, match="this server ranks: it has the-model") as raised:
        DIALECTS[name].parse(body, NAMES)
    assert {fault.type for fault in raised.value.faults} == {"not_an_embedding_model"}


@pytest.mark.parametrize("name", BODIES)
def test_what_was_not_asked_for_is_ignored_and_a_null_option_is_an_absent_one(name: str) -> None:
    options = (
        "model", "top_n", "top_k", "return_documents", "max_doc_length", "max_tokens_per_doc", "truncate", "user",
        "truncation_direction", "raw_scores", "return_text", "parameters", "api_version", "rank_fields",
    )  # fmt: skip
    body = {**dict.fromkeys(options), **BODIES[name]}
    assert DIALECTS[name].parse(body, NAMES).tasks == DIALECTS[name].parse(BODIES[name], NAMES).tasks


def test_lines_are_bodies_of_their_own_and_answered_in_their_order() -> None:
    lines = JsonLines(DEFAULT)
    inquiry = lines.parse(
        [{"query": "q", "documents": ["a", "b"], "top_n": 1}, {"query": "p", "documents": ["c"], "truncate": False}],
        NAMES,
    )
    assert [task.queries for task in inquiry.tasks] == [["q"], ["p"]]
    assert inquiry.tasks[1].name_document(0) == "lines[1].documents[0]"
    answers = render(inquiry, 0.0, 1.0, 2.0)
    assert [[result["index"] for result in answer["results"]] for answer in answers] == [[1], [0]]
    assert [answer["usage"]["total_tokens"] for answer in answers] == [6 + 7, 8]
    assert faults(lines, [{"query": ""}, 1]) == [
        ("lines[0].documents", "missing"),
        ("lines[0].query", "empty"),
        ("lines[1]", "wrong_type"),
    ]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_example_is_sound(dialect: Dialect) -> None:
    for example in dialect.examples:
        assert detect_dialect(example.body, example.path).name == dialect.name
        assert dialect.parse(example.body, NAMES).documents > 0
