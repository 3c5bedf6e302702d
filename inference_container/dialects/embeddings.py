"""Requests for embeddings by Jina's and OpenAI's API. A reranker has none, and says so."""

from __future__ import annotations

from inference_container.dialects.base import Inquiry, JsonDialect, ModelNames
from inference_container.dialects.reading import BODY
from inference_container.errors import InvalidRequest
from rerank_toolkit.contracts.faults import Fault


class EmbeddingsDialect(JsonDialect):
    """Every body is refused."""

    name = "embeddings"

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        raise InvalidRequest(
            [
                Fault(
                    "input" if isinstance(body, dict) and "input" in body else BODY,
                    f"asks for embeddings, and this server ranks: it has {names.served}; send query and documents",
                    "not_an_embedding_model",
                )
            ]
        )
