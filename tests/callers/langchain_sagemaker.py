"""LangChain's SagemakerEndpointCrossEncoder, by itself and inside its reranker."""

from __future__ import annotations

import json
import sys

from langchain_classic.retrievers.document_compressors import CrossEncoderReranker
from langchain_community.cross_encoders.sagemaker_endpoint import SagemakerEndpointCrossEncoder
from langchain_core.documents import Document

QUERY = "What is the capital of Germany?"
DOCUMENTS = ["Bananas are rich in potassium.", "Berlin is the capital of Germany."]


def main(region: str, endpoint: str) -> None:
    encoder = SagemakerEndpointCrossEncoder(endpoint_name=endpoint, region_name=region)
    reranker = CrossEncoderReranker(model=encoder, top_n=1)
    found = [Document(text) for text in DOCUMENTS]
    try:
        encoder.score([("", "document")])
    except ValueError as error:
        refused = str(error)
    answers = {
        "scores": encoder.score([(QUERY, text) for text in DOCUMENTS]),
        "best": [document.page_content for document in reranker.compress_documents(found, QUERY)],
        "no_hits": list(reranker.compress_documents([], QUERY)),
        "refused": refused,
    }
    print(json.dumps(answers))


main(*sys.argv[1:])
