"""Other projects' SageMaker clients against an endpoint of the local AWS, found by the profile that it hands out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import LocalAws, endpoint_template

QUERY = "What is the capital of Germany?"
DOCUMENTS = ["Bananas are rich in potassium.", "Berlin is the capital of Germany."]
REGION = "us-east-1"


@pytest.fixture(scope="module")
def endpoint(local_aws: LocalAws, model_data: str) -> Iterator[str]:
    stack = local_aws.deploy("called", endpoint_template(model_data, name="called"))
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons("called")
    yield "called"
    local_aws.delete("called")


def invoke(local_aws: LocalAws, endpoint: str, body: bytes, content_type: str) -> bytes:
    answer = local_aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, ContentType=content_type, Body=body
    )
    content: bytes = answer["Body"].read()
    return content


@pytest.fixture(scope="module")
def scores(local_aws: LocalAws, endpoint: str) -> list[float]:
    """Of the two documents, by our own default dialect."""
    body = json.dumps({"query": QUERY, "documents": DOCUMENTS}).encode()
    results = json.loads(invoke(local_aws, endpoint, body, "application/json"))["results"]
    return [result["relevance_score"] for result in sorted(results, key=lambda result: result["index"])]


def test_the_cross_encoder_of_langchain(
    local_aws: LocalAws, endpoint: str, scores: list[float], run_caller: Any
) -> None:
    told = run_caller("langchain_sagemaker.py", REGION, endpoint, environment=local_aws.environment)
    assert told["scores"] == pytest.approx(scores)
    assert told["best"] == [DOCUMENTS[max(range(2), key=scores.__getitem__)]]
    assert told["no_hits"] == []
    assert "Received client error (422) from primary" in told["refused"]
    assert "text_pairs[0][0]: is empty" in told["refused"]


def test_the_sagemaker_clients_of_cohere(
    local_aws: LocalAws, endpoint: str, scores: list[float], run_caller: Any
) -> None:
    url = local_aws.client("sagemaker-runtime").meta.endpoint_url
    told = run_caller("cohere_sagemaker.py", url, REGION, endpoint, environment=local_aws.environment)
    first = {result["index"]: result for result in told["v1"]["results"]}
    assert [first[index]["relevance_score"] for index in range(2)] == pytest.approx(scores)
    assert [first[index]["document"]["text"] for index in range(2)] == DOCUMENTS
    [best] = told["v2"]["results"]
    assert best["relevance_score"] == pytest.approx(max(scores))


def test_jina_sagemaker_in_real_time_and_its_rows_for_a_batch_job(
    local_aws: LocalAws, endpoint: str, scores: list[float], run_caller: Any, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    with rows.open("w", newline="") as file:  # as the client's notebook has it
        writer = csv.writer(file, quoting=csv.QUOTE_NONE, escapechar="\\", lineterminator="\n")
        for query in (QUERY, "and that, of France?"):
            writer.writerow([query, json.dumps([{"text": text} for text in DOCUMENTS]), 2])

    told = run_caller("jina_sagemaker_client.py", REGION, endpoint, str(rows), environment=local_aws.environment)
    best = max(range(2), key=scores.__getitem__)
    for model in ("jina-reranker-v1-tiny-en", "jina-reranker-m0"):
        [answer] = told[model]
        [result] = answer["results"]
        assert (result["index"], result["document"]["text"]) == (best, DOCUMENTS[best])
        assert result["relevance_score"] == pytest.approx(scores[best])
        assert result["usage"]["total_tokens"] + answer["query_usage"]["total_tokens"] > len(DOCUMENTS[best])

    for file in (rows, Path(told["rows_with_ids"])):
        lines = invoke(local_aws, endpoint, file.read_bytes(), "text/csv").splitlines()
        answers = [json.loads(line)["data"] for line in lines]
        assert [len(answer) for answer in answers] == [1, 1]
        found = {result["index"]: result["relevance_score"] for result in answers[0][0]["results"]}
        assert [found[index] for index in range(2)] == pytest.approx(scores)
    with_ids = Path(told["rows_with_ids"]).read_text().splitlines()
    assert [answer[0]["id"] for answer in answers] == [line[1:33] for line in with_ids]
