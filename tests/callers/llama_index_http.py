"""LlamaIndex's rerankers for text-embeddings-inference and for Jina's API."""

from __future__ import annotations

import json
import sys

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.jinaai_rerank import JinaRerank
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

QUERY = "What is the capital of Germany?"
DOCUMENTS = ["Bananas are rich in potassium.", "Berlin is the capital of Germany."]


def nodes() -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=text), score=0.5) for text in DOCUMENTS]


def main(url: str, model: str) -> None:
    tei = TextEmbeddingInference(base_url=url, top_n=2)
    jina = JinaRerank(base_url=f"{url}/v1", model=model, api_key="none", top_n=1)
    other = JinaRerank(base_url=f"{url}/v1", api_key="none", top_n=1)
    try:
        other.postprocess_nodes(nodes(), query_str=QUERY)
    except RuntimeError as error:
        refused = str(error)
    answers: dict[str, object] = {"refused": refused}
    for name, reranker in (("tei", tei), ("jina", jina)):
        ranked = reranker.postprocess_nodes(nodes(), query_str=QUERY)
        answers[name] = [{"text": node.text, "score": node.score} for node in ranked]
    print(json.dumps(answers))


main(*sys.argv[1:])
