"""The SageMaker clients of Cohere's SDK. They know AWS's hosts only: that one name is replaced, nothing else."""

from __future__ import annotations

import json
import sys
from typing import Any

import cohere
import cohere.aws_client

QUERY = "What is the capital of Germany?"
DOCUMENTS = ["Bananas are rich in potassium.", "Berlin is the capital of Germany."]


def main(url: str, region: str, endpoint: str) -> None:
    published = cohere.aws_client.get_url

    def loopback(**arguments: Any) -> str:
        return published(**arguments).replace(f"https://runtime.sagemaker.{region}.amazonaws.com", url)

    cohere.aws_client.get_url = loopback
    answers = {
        "v1": cohere.SagemakerClient(aws_region=region).rerank(
            model=endpoint, query=QUERY, documents=[{"text": text} for text in DOCUMENTS], return_documents=True
        ),
        "v2": cohere.SagemakerClientV2(aws_region=region).rerank(
            model=endpoint, query=QUERY, documents=DOCUMENTS, top_n=1
        ),
    }
    print(json.dumps({name: answer.model_dump() for name, answer in answers.items()}))


main(*sys.argv[1:])
