"""Cohere's rerank API, versions 1 and 2: its SDK, and the SDK's SageMaker client, which adds `api_version`."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Literal
from uuid import uuid4

import msgspec

from inference_container.dialects.base import Example, Inquiry, JsonDialect, ModelNames, Ranking, RerankTask
from inference_container.dialects.reading import model_faults, query_faults, read
from inference_container.errors import InvalidRequest, ServingError
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault
from rerank_toolkit.contracts.wire import Text

Count = Annotated[int, msgspec.Meta(ge=1)]

DOCUMENTS_IN_SEARCH_UNIT = 100
"""By Cohere's pricing page a search unit is one query with up to 100 documents."""

_DEFAULT_TOKENS_PER_DOCUMENT = 4096  # of version 2, by Cohere's reference


class CohereRequest(msgspec.Struct, frozen=True, kw_only=True):
    query: str
    """What the documents are ranked by."""
    documents: Annotated[list[str | dict[str, object]], msgspec.Meta(min_length=1)]
    """Strings, or objects with `text`; in version 1 also objects with the fields that `rank_fields` names."""
    model: str | None = None
    """The model that is served, by its id or alias; another name is a fault."""
    top_n: Count | None = None
    """How many of the best to answer with; absent: all."""
    max_tokens_per_doc: Count | None = None
    """Tokens of each document that are read; absent: 4096 in version 2, as many as fit in version 1."""
    return_documents: bool = False
    """Whether the answer brings the texts back."""
    rank_fields: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    """Fields of a document whose texts are read, one after the other."""
    api_version: Literal[1, 2] | None = None
    """Added by the SDK's SageMaker client; absent: that of the path."""


class CohereResult(msgspec.Struct, frozen=True, omit_defaults=True):
    index: int
    """Position in the request."""
    relevance_score: float
    """Between 0 and 1."""
    document: Text | None = None
    """Where return_documents asks for it; with rank_fields, what was read of it."""


class ApiVersion(msgspec.Struct, frozen=True):
    version: str
    """1 or 2."""


class BilledUnits(msgspec.Struct, frozen=True):
    search_units: int
    """One for every 100 documents begun."""


class Tokens(msgspec.Struct, frozen=True):
    input_tokens: int
    """Read by the model, the query and special tokens counted once for each document."""


class Meta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    api_version: ApiVersion
    """By which the body was read."""
    billed_units: BilledUnits
    """As Cohere counts; nobody is billed here."""
    tokens: Tokens
    """What was really read."""
    warnings: list[str] | None = None
    """Tells of documents that were cut."""


class CohereResponse(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """Made up for this answer."""
    results: list[CohereResult]
    """Best first; at most top_n."""
    meta: Meta
    """How it was counted."""


class CohereError(msgspec.Struct, frozen=True):
    message: str
    """All faults of the request, or why it was not answered."""


class CohereDialect(JsonDialect):
    """Version 1 if `api_version` or a field that only version 1 has says so, else version 2. It can bring the documents
    back."""

    name = "cohere"
    request = CohereRequest
    examples = (
        Example(
            {
                "query": "What is the capital of Germany?",
                "documents": ["Berlin is the capital of Germany.", "Bananas are rich in potassium."],
                "top_n": 1,
                "max_tokens_per_doc": 4096,
            },
            path="/v2/rerank",
        ),
        Example(
            {
                "query": "What is the capital of Germany?",
                "documents": [{"title": "Berlin", "text": "It is the capital of Germany."}],
                "rank_fields": ["title", "text"],
                "return_documents": True,
                "api_version": 1,
            }
        ),
    )

    def __init__(self, version: Literal[1, 2] = 2) -> None:
        """`version`: of a body that doesn't name one."""
        self._version = version

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        request, faults = read(body, CohereRequest)
        faults += query_faults(body) + model_faults(body, names)
        if request is None:
            raise InvalidRequest(faults)
        documents, found = _texts(request)
        if faults := faults + found:
            raise InvalidRequest(faults)
        version = request.api_version or self._version
        task = RerankTask(
            queries=[request.query],
            documents=documents,
            max_document_tokens=request.max_tokens_per_doc or (_DEFAULT_TOKENS_PER_DOCUMENT if version == 2 else None),
        )
        return Inquiry([task], partial(_render, request, task, version))

    def render_error(self, error: ServingError) -> CohereError:
        return CohereError(str(error))


def _texts(request: CohereRequest) -> tuple[list[str], list[Fault]]:
    fields = request.rank_fields or ["text"]
    texts: list[str] = []
    faults: list[Fault] = []
    for index, document in enumerate(request.documents):
        if isinstance(document, str):
            texts.append(document)
            continue
        parts = [document.get(field) for field in fields]
        sound = [part for part in parts if isinstance(part, str)]
        if len(sound) < len(parts):
            wanted = " and ".join(fields)
            faults.append(Fault(f"documents[{index}]", f"lacks text in {wanted}", "missing"))
        if len(faults) > MOST_FAULTS:
            break
        texts.append("\n".join(sound))
    return texts, faults


def _render(request: CohereRequest, task: RerankTask, version: int, ranking: Ranking) -> CohereResponse:
    scores = ranking.relevance_scores()
    cut = ranking.truncated_documents
    return CohereResponse(
        id=str(uuid4()),
        results=[
            CohereResult(index, scores[index], Text(task.documents[index]) if request.return_documents else None)
            for index in ranking.best_first()[: request.top_n]
        ],
        meta=Meta(
            api_version=ApiVersion(str(version)),
            billed_units=BilledUnits(math.ceil(len(task.documents) / DOCUMENTS_IN_SEARCH_UNIT)),
            tokens=Tokens(ranking.tokens),
            warnings=[f"{cut} of {len(task.documents)} documents were cut to fit"] if cut else None,
        ),
    )
