"""LangChain's SagemakerEndpointCrossEncoder: pairs in, scores out in the same order."""

from __future__ import annotations

import msgspec

from inference_container.dialects.base import Example, Inquiry, JsonDialect, ModelNames, Ranking, RerankTask
from inference_container.dialects.reading import blank_query_faults, read
from inference_container.errors import InvalidRequest


class LangChainRequest(msgspec.Struct, frozen=True):
    text_pairs: list[tuple[str, str]]
    """Query and document. None at all is no fault: a search without hits asks so."""


class LangChainResponse(msgspec.Struct, frozen=True):
    scores: list[float]
    """Between 0 and 1, in the order of the pairs."""


class LangChainDialect(JsonDialect):
    """Each pair may bring a query of its own; equal ones are tokenised once."""

    name = "langchain"
    request = LangChainRequest
    examples = (
        Example(
            {
                "text_pairs": [
                    ["What is the capital of Germany?", "Berlin is the capital of Germany."],
                    ["What is the capital of Germany?", "Bananas are rich in potassium."],
                ]
            }
        ),
    )

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        request, faults = read(body, LangChainRequest)
        if request is None:
            raise InvalidRequest(faults)
        task = RerankTask.of_pairs(
            request.text_pairs, query_field="text_pairs[{index}][0]", document_field="text_pairs[{index}][1]"
        )
        if faults := blank_query_faults(task):
            raise InvalidRequest(faults)
        return Inquiry([task], _render)


def _render(ranking: Ranking) -> LangChainResponse:
    return LangChainResponse(ranking.relevance_scores())
