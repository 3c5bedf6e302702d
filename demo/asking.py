"""Asking the endpoint: stock boto3, Jina's request body."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import boto3

from demo.collection import Passage, Question

_PARALLEL = 2


@dataclass(frozen=True)
class Answer:
    """The candidates in the reranker's order, best first."""

    model: str
    passages: list[Passage]
    scores: list[float]
    """Relevance between 0 and 1."""
    tokens: int


class AnswerMalformed(Exception):
    """The endpoint's answer doesn't rank what it was sent."""


def ask_all(
    endpoint: str,
    questions: Sequence[Question],
    candidates: Sequence[list[Passage]],
    on_answer: Callable[[int], None],
) -> list[Answer]:
    """An answer to each question, in the questions' order; `on_answer` is told how many there are so far.

    Raises botocore's errors as they come, and AnswerMalformed.
    """
    client = boto3.client("sagemaker-runtime")  # its clients may be shared by threads

    def ask(question: Question, passages: list[Passage]) -> Answer:
        body = {
            "query": question.text,
            "documents": [passage.text for passage in passages],
            "return_documents": False,
        }
        response = client.invoke_endpoint(
            EndpointName=endpoint, ContentType="application/json", Body=json.dumps(body).encode()
        )
        return read_answer(json.load(response["Body"]), passages)

    pool = ThreadPoolExecutor(_PARALLEL)
    try:
        pending: list[Future[Answer]] = [pool.submit(ask, *pair) for pair in zip(questions, candidates, strict=True)]
        for done, future in enumerate(as_completed(pending), start=1):
            future.result()
            on_answer(done)
        return [future.result() for future in pending]
    finally:
        pool.shutdown(cancel_futures=True)


def read_answer(document: Any, passages: Sequence[Passage]) -> Answer:
    """The answer in Jina's response body to a request that held `passages`.

    Raises AnswerMalformed unless every passage is ranked exactly once.
    """
    try:
        results = document["results"]
        order = [result["index"] for result in results]
        scores = [float(result["relevance_score"]) for result in results]
        model, tokens = str(document["model"]), int(document["usage"]["total_tokens"])
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerMalformed(f"not Jina's response body ({error!r}): {document}") from None
    if sorted(order) != list(range(len(passages))):
        raise AnswerMalformed(f"{len(passages)} passages were sent, the answer ranks {order}")
    return Answer(model, [passages[index] for index in order], scores, tokens)
