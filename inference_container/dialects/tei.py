"""text-embeddings-inference's /rerank: what its clients and LlamaIndex's TextEmbeddingInference send.

Its errors have a type, and statuses of their own: an overloaded server says 429, whatever the reason.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import msgspec

from inference_container.dialects.base import Example, Inquiry, JsonDialect, ModelNames, Ranking, RerankTask
from inference_container.dialects.reading import query_faults, read
from inference_container.errors import (
    BodyTooLarge,
    EngineFailed,
    InvalidRequest,
    NotReady,
    QueueFull,
    Refused,
    RequestTooLarge,
    ServingError,
    TookTooLong,
    WouldBeLate,
)

Direction = Literal["right", "left", "Right", "Left"]  # its documentation says the former, its server the latter


class TeiRequest(msgspec.Struct, frozen=True, kw_only=True):
    query: str
    """What the texts are ranked by."""
    texts: Annotated[list[str], msgspec.Meta(min_length=1)]
    """The texts to rank."""
    truncate: bool = True
    """False: a text that doesn't fit is an error instead of being cut."""
    truncation_direction: Direction = "right"
    """The end of a text that is cut."""
    raw_scores: bool = False
    """True: logits instead of numbers between 0 and 1."""
    return_text: bool = False
    """Whether the answer brings the texts back."""


class TeiRank(msgspec.Struct, frozen=True, omit_defaults=True):
    index: int
    """Position in the request."""
    score: float
    """Between 0 and 1, or the logit where raw_scores asks for it."""
    text: str | None = None
    """Where return_text asks for it."""


class TeiError(msgspec.Struct, frozen=True):
    error: str
    """All faults of the request, or why it was not answered."""
    error_type: str
    """validation, empty, overloaded, unhealthy or backend."""


class TypedErrors(JsonDialect):
    """Errors as text-embeddings-inference gives them: `{"error", "error_type"}`."""

    def error_status(self, error: ServingError) -> int:
        match error_type(error), error:
            case "overloaded", _:
                return 429
            case "empty", _:
                return 400
            case "backend", EngineFailed():  # one that nobody thought of stays a 500
                return 424
            case _:
                return error.status

    def render_error(self, error: ServingError) -> TeiError:
        return TeiError(str(error), error_type(error))


def error_type(error: ServingError) -> str:
    """Its word for an error."""
    match error:
        case NotReady():
            return "unhealthy"
        case BodyTooLarge() | RequestTooLarge():
            return "validation"
        case QueueFull() | WouldBeLate() | TookTooLong() | Refused():
            return "overloaded"
        case InvalidRequest() if all(fault.type in {"empty", "too_short"} for fault in error.faults):
            return "empty"
        case _:
            return "validation" if error.status < 500 else "backend"


class TeiDialect(TypedErrors):
    """One entry for each text, best first."""

    name = "tei"
    request = TeiRequest
    examples = (
        Example(
            {
                "query": "What is the capital of Germany?",
                "texts": ["Berlin is the capital of Germany.", "Bananas are rich in potassium."],
                "return_text": True,
                "truncation_direction": "left",
            },
            path="/rerank",
        ),
    )

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        request, faults = read(body, TeiRequest)
        faults += query_faults(body)
        if faults or request is None:
            raise InvalidRequest(faults)
        task = RerankTask(
            queries=[request.query],
            documents=request.texts,
            truncate=request.truncate,
            truncation_direction="left" if request.truncation_direction.casefold() == "left" else "right",
            document_field="texts[{index}]",
        )
        return Inquiry([task], partial(_render, request))


def _render(request: TeiRequest, ranking: Ranking) -> list[TeiRank]:
    scores = ranking.scores(raw=request.raw_scores)
    return [
        TeiRank(index, scores[index], request.texts[index] if request.return_text else None)
        for index in ranking.best_first()
    ]
