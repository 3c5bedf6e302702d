"""Cohere's SDK, versions 1 and 2 of its API, sent to a server's address."""

from __future__ import annotations

import json
import sys

import cohere
from cohere.core import ApiError

QUERY = "What is the capital of Germany?"
DOCUMENTS = ["Bananas are rich in potassium.", "Berlin is the capital of Germany."]


def main(url: str, model: str) -> None:
    first = cohere.Client(api_key="none", base_url=url)
    second = cohere.ClientV2(api_key="none", base_url=url)
    objects = [{"title": "Fruit", "text": text} for text in DOCUMENTS]
    answers = {
        "v1": first.rerank(
            model=model, query=QUERY, documents=objects, rank_fields=["title", "text"], return_documents=True, top_n=1
        ),
        "v1_plain": first.rerank(query=QUERY, documents=DOCUMENTS),
        "v2": second.rerank(model=model, query=QUERY, documents=DOCUMENTS, top_n=1, max_tokens_per_doc=3),
    }
    try:
        second.rerank(model="rerank-v3.5", query="", documents=[])
    except ApiError as error:
        refused = {"status": error.status_code, "body": error.body}
    print(json.dumps({name: answer.model_dump() for name, answer in answers.items()} | {"refused": refused}))


main(*sys.argv[1:])
