"""docs/reference/dialects.md"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from inference_container import csv_rows
from inference_container.batch_transform import batch_parameters
from inference_container.dialects import DIALECTS, PATHS, SHAPES, Dialect, Example, ModelNames, Ranking
from rerank_toolkit.contracts.settings import Settings
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES
from tools.reference.markdown import code, join, json_block, paragraphs, table
from tools.reference.shapes import describe_struct

_NAMES = ModelNames("jina-reranker-v1-tiny-en", frozenset({"jina-reranker-v1-tiny-en"}))
_QUERY_TOKENS, _DOCUMENT_TOKENS = 8, 10

_ID = re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
"""Made anew for each answer."""


def page() -> str:
    return join(
        "# Dialects",
        "Callers of other rerankers keep their clients: the container answers each in its own way of asking. Any of "
        f"these bodies may come to any path. Which dialect a body is in, {code('dialect=NAME')} in the header "
        f"{code(CUSTOM_ATTRIBUTES)} says; else a field that only one has; else the path. Options that are null are "
        "options that are absent; fields that a dialect doesn't list are ignored. Scores and ids in the examples are "
        "made up.",
        table(("the first of these fields that a body has", "its dialect"), [(code(f), d.name) for f, d in SHAPES]),
        table(("else the path, by POST", "its dialect"), [(code(p), d.name) for p, d in PATHS.items()]),
        *(part for dialect in DIALECTS.values() for part in _describe(dialect)),
        "## Batch transform",
        "SageMaker asks `GET /execution-parameters` how to split a job, and is told",
        json_block(batch_parameters(Settings())),
        "A body of several JSON documents, a line each, is one record a line, all of one dialect; the answer has a "
        "line for each, in their order. A body of type `text/csv` has a record in each row. Its answers are lines "
        "too, or with `Accept: application/json` one document.",
        paragraphs(csv_rows.__doc__),
        "## Other paths",
        "`GET /ping` answers 200 once the model has answered a warm-up, and 503 with the reason before that, while the "
        "server drains and when nothing in it can compute. `GET /metrics`: see [metrics](metrics.md).",
    )


def _describe(dialect: Dialect) -> Iterator[str]:
    yield f"## {dialect.name}"
    module = inspect.getmodule(type(dialect))
    yield paragraphs(module.__doc__ if module else "")
    yield paragraphs(type(dialect).__doc__)
    if dialect.request:
        name = dialect.request.__name__
        yield "The body:" if name.endswith("Request") else f"{code(name)}:"
        yield from describe_struct(dialect.request)
    for number, example in enumerate(dialect.examples):
        answer = answer_to(dialect, example)
        if number == 0:
            yield "The answer:"
            yield from _describe_answer(answer)
        yield f"For example, `POST {example.path}`:"
        yield json_block(example.body)
        yield "is answered with"
        yield json_block(_shown(answer))


def answer_to(dialect: Dialect, example: Example) -> object:
    """The answer's form, with made-up scores: the first document is the best."""
    inquiry = dialect.parse(msgspec.json.decode(msgspec.json.encode(example.body)), _NAMES)
    count = inquiry.documents
    return inquiry.render(
        Ranking(
            model=_NAMES.served,
            logits=np.linspace(2, -4, count, dtype=np.float32) if count > 1 else np.array([2], dtype=np.float32),
            lengths=[_QUERY_TOKENS + _DOCUMENT_TOKENS] * count,
            query_lengths=[_QUERY_TOKENS] * count,
            truncated=[False] * count,
        )
    )


def _describe_answer(answer: object) -> Iterator[str]:
    match answer:
        case list():
            yield "A list, of:"
            yield from _describe_answer(answer[0])
        case msgspec.Struct():
            yield from describe_struct(type(answer))


def _shown(answer: object) -> Any:
    """The answer with one id for all, and scores short enough to be the same on every machine."""
    document = _ID.sub("3f2b8c1d9a4e4f6f8b7a5c6d7e8f9a0b", msgspec.json.encode(answer).decode())
    return json.loads(document, parse_float=lambda text: round(float(text), 4))
