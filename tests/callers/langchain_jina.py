"""LangChain's JinaRerank. It knows Jina's address only: that one name is replaced, nothing else."""

from __future__ import annotations

import json
import sys

from langchain_community.document_compressors import jina_rerank
from langchain_core.documents import Document

QUERY = "What is the capital of Germany?"
DOCUMENTS = ["Bananas are rich in potassium.", "Berlin is the capital of Germany."]


def main(url: str, model: str) -> None:
    jina_rerank.JINA_API_URL = f"{url}/v1/rerank"
    reranker = jina_rerank.JinaRerank(jina_api_key="none", model=model, top_n=1)
    found = [Document(text, metadata={"page": page}) for page, text in enumerate(DOCUMENTS)]
    best = reranker.compress_documents(found, QUERY)
    try:
        reranker.rerank(DOCUMENTS, QUERY, model="jina-reranker-v9")
    except RuntimeError as error:
        refused = str(error)
    answers = {
        "ranked": reranker.rerank(DOCUMENTS, QUERY, top_n=None),
        "best": [{"text": document.page_content, **document.metadata} for document in best],
        "refused": refused,
    }
    print(json.dumps(answers))


main(*sys.argv[1:])
