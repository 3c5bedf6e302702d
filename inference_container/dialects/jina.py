"""Jina's rerank API, the default: what Jina's own clients, LangChain's and LlamaIndex's JinaRerank send."""

from __future__ import annotations

from functools import partial

from inference_container.dialects.base import Example, Inquiry, JsonDialect, ModelNames, Ranking, RerankTask
from inference_container.dialects.reading import model_faults, plain_text, query_faults, read
from inference_container.errors import InvalidRequest
from rerank_toolkit.contracts.wire import RankedDocument, RerankRequest, RerankResponse, Text, Usage

_ALIASES = {"top_k": "top_n", "max_tokens_per_doc": "max_doc_length"}


class JinaDialect(JsonDialect):
    """A document is a string or an object with `text`."""

    name = "jina"
    request = RerankRequest
    examples = (
        Example(
            {
                "query": "What is the capital of Germany?",
                "documents": ["Berlin is the capital of Germany.", {"text": "Bananas are rich in potassium."}],
                "top_n": 1,
                "return_documents": True,
                "max_doc_length": 512,
            },
            path="/v1/rerank",
        ),
    )

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        request, faults = read(body, RerankRequest, aliases=_ALIASES)
        faults += query_faults(body) + model_faults(body, names)
        if faults or request is None:
            raise InvalidRequest(faults)
        task = RerankTask(
            queries=[plain_text(request.query)],
            documents=[plain_text(document) for document in request.documents],
            max_document_tokens=request.max_doc_length,
            truncate=request.truncate,
            truncation_direction=request.truncation_direction,
        )
        return Inquiry([task], partial(_render, request, task))


def _render(request: RerankRequest, task: RerankTask, ranking: Ranking) -> RerankResponse:
    scores = ranking.relevance_scores()
    return RerankResponse(
        model=ranking.model,
        usage=Usage(total_tokens=ranking.tokens, truncated_documents=ranking.truncated_documents),
        results=[
            RankedDocument(
                index=index,
                relevance_score=scores[index],
                document=Text(task.documents[index]) if request.return_documents else None,
            )
            for index in ranking.best_first()[: request.top_n]
        ],
    )
