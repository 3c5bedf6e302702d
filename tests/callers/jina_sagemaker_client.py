"""The jina-sagemaker client: both of its body shapes, and what it makes of a local file for a batch job."""

from __future__ import annotations

import contextlib
import json
import sys

from jina_sagemaker import Client
from jina_sagemaker.helper import prefix_csv_with_ids

QUERY = "What is the capital of Germany?"
DOCUMENTS = ["Bananas are rich in potassium.", {"text": "Berlin is the capital of Germany."}]
ARN = "arn:aws:sagemaker:us-east-1:253352124568:model-package/"


def main(region: str, endpoint: str, rows: str) -> None:
    client = Client(region_name=region)
    answers = {}
    for model in ("jina-reranker-v1-tiny-en", "jina-reranker-m0"):
        client.connect_to_endpoint(endpoint, ARN + model)
        answers[model] = client.rerank(documents=DOCUMENTS, query=QUERY, top_n=1)
    with contextlib.redirect_stdout(sys.stderr):
        answers["rows_with_ids"] = prefix_csv_with_ids(rows)
    print(json.dumps(answers))


main(*sys.argv[1:])
