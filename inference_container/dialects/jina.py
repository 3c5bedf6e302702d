"""Jina's rerank API, the default: what Jina's own clients, LangChain and LlamaIndex send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from inference_container.dialects.base import ModelNames, Ranking, RerankTask
from inference_container.errors import InvalidRequest, ServingError
from rerank_toolkit.contracts.faults import Fault, collect_faults
from rerank_toolkit.contracts.wire import (
    ErrorBody,
    ErrorItem,
    RankedDocument,
    RerankRequest,
    RerankResponse,
    Text,
    Usage,
)

_ALIASES = {"top_k": "top_n", "max_tokens_per_doc": "max_doc_length"}
_REQUIRED = ("query", "documents")


class JinaDialect:
    """Bodies of contracts.wire."""

    name = "jina"

    def parse(self, body: object, names: ModelNames) -> RerankTask:
        if not isinstance(body, dict):
            raise InvalidRequest(collect_faults(body, RerankRequest))
        plain, aliased, faults = _unalias(body)
        try:
            request = msgspec.convert(plain, RerankRequest)
        except msgspec.ValidationError as error:
            found = collect_faults(plain, RerankRequest) or [Fault("", str(error))]
            faults += [msgspec.structs.replace(fault, field=aliased.get(fault.field, fault.field)) for fault in found]
        faults += _look_closer(plain, names)
        if faults:
            raise InvalidRequest(faults)
        return RerankTask(
            query=_text(request.query),
            documents=[_text(document) for document in request.documents],
            top_n=request.top_n,
            return_documents=request.return_documents,
            max_document_tokens=request.max_doc_length,
            truncate=request.truncate,
        )

    def render(self, task: RerankTask, ranking: Ranking) -> RerankResponse:
        scores = ranking.relevance_scores()
        return RerankResponse(
            model=ranking.model,
            usage=Usage(total_tokens=ranking.tokens, truncated_documents=ranking.truncated_documents),
            results=[
                RankedDocument(
                    index=index,
                    relevance_score=scores[index],
                    document=Text(task.documents[index]) if task.return_documents else None,
                )
                for index in ranking.best_first()[: task.top_n]
            ],
        )

    def render_error(self, error: ServingError) -> ErrorBody:
        if not isinstance(error, InvalidRequest):
            return ErrorBody(str(error))
        return ErrorBody(str(error), [ErrorItem(fault.field, fault.message, fault.type) for fault in error.faults])


def _unalias(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str], list[Fault]]:
    """The body under today's names, the old name of each that had one, and the fields that were named twice.

    Some clients send null for what is unset, so a null option is an absent one.
    """
    plain = {name: value for name, value in body.items() if value is not None or name in _REQUIRED}
    aliased: dict[str, str] = {}
    faults: list[Fault] = []
    for alias, name in _ALIASES.items():
        if alias not in plain:
            continue
        if name in plain:
            faults.append(Fault(alias, f"means the same as {name}; send one of them", "duplicate"))
            continue
        plain[name] = plain.pop(alias)
        aliased[name] = alias
    return plain, aliased, faults


def _look_closer(plain: Mapping[str, Any], names: ModelNames) -> list[Fault]:
    """Faults that types don't show, found whether or not the rest of the body is sound."""
    faults: list[Fault] = []
    match plain.get("query"):
        case str(query) | {"text": str(query)} if not query.strip():
            faults.append(Fault("query", "is empty; expected the text to rank the documents by", "empty"))
    match plain.get("model"):
        case str(model) if fault := names.fault(model, field="model"):
            faults.append(fault)
    return faults


def _text(text: str | Text) -> str:
    return text.text if isinstance(text, Text) else text
