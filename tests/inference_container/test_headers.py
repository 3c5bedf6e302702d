"""What an answer's headers tell, for callers with and without SageMaker in between."""

from __future__ import annotations

from typing import Any

import pytest

from rerank_toolkit.contracts import wire
from rerank_toolkit.contracts.wire import decode_origin

SCORED = (
    wire.QUEUE_TIME,
    wire.INFERENCE_TIME,
    wire.COMPUTE_TOKENS,
    wire.PADDING_RATIO,
    wire.TRUNCATED_DOCUMENTS,
)


@pytest.mark.parametrize(
    "body",
    [
        {"query": "abc", "documents": ["xxxxyyyy", "xxxx"], "max_doc_length": 4},
        {"query": "abc", "documents": ["xxxxyyyy", "xxxx"], "max_tokens_per_doc": 4},
    ],
)
def test_a_scored_answer_tells_its_times_tokens_and_cuts(server: Any, body: dict[str, Any]) -> None:
    answer = server.rerank(body)
    origin = decode_origin(answer.headers[wire.CUSTOM_ATTRIBUTES])

    assert origin
    assert (answer.headers[wire.COMPUTE_TOKENS], origin.tokens) == ("20", 20)
    assert (answer.headers[wire.TRUNCATED_DOCUMENTS], origin.truncated_documents) == ("1", 1)
    assert float(answer.headers[wire.PADDING_RATIO]) == pytest.approx(origin.padding_ratio, abs=0.006)
    for header, milliseconds in (
        (wire.QUEUE_TIME, origin.queue_ms),
        (wire.INFERENCE_TIME, origin.inference_ms),
        (wire.TOTAL_TIME, origin.total_ms),
    ):
        assert int(answer.headers[header]) == pytest.approx(milliseconds, abs=0.51), "whole milliseconds, as TEI's"
    assert origin.total_ms is not None
    assert origin.total_ms >= origin.inference_ms > 0


def test_an_error_tells_its_time_alone(server: Any) -> None:
    answer = server.rerank({"query": "q"})
    origin = decode_origin(answer.headers[wire.CUSTOM_ATTRIBUTES])

    assert answer.status_code == 422
    assert int(answer.headers[wire.TOTAL_TIME]) >= 0
    assert not any(header in answer.headers for header in SCORED)
    assert origin
    assert (origin.padding_ratio, origin.truncated_documents) == (None, None)


def test_a_long_inference_id_does_not_fill_the_log(server: Any) -> None:
    server.rerank({"query": "q", "documents": ["d"]}, headers={wire.INFERENCE_ID: "i" * 1000})

    assert [event["inference_id"] for event in server.events("request") if "iii" in event.get("inference_id", "")] == [
        "i" * 64
    ]
