"""One file for each caller's body shape, and the choice among them.

By the name in the request's Custom-Attributes, else by the body's shape, else by the path. Until the body is read the
path alone tells in which dialect an error is said.
"""

from __future__ import annotations

from collections.abc import Mapping

from inference_container.dialects.base import (
    JSON,
    JSON_LINES,
    Dialect,
    Example,
    Inquiry,
    ModelNames,
    Ranking,
    RerankTask,
)
from inference_container.dialects.cohere import CohereDialect
from inference_container.dialects.embeddings import EmbeddingsDialect
from inference_container.dialects.huggingface import HuggingFaceDialect
from inference_container.dialects.jina import JinaDialect
from inference_container.dialects.jina_sagemaker import JinaSageMakerDialect, JinaSageMakerRows
from inference_container.dialects.langchain import LangChainDialect
from inference_container.dialects.lines import JsonLines
from inference_container.dialects.tei import TeiDialect
from inference_container.errors import InvalidRequest
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES

__all__ = [
    "DEFAULT",
    "DIALECTS",
    "JSON",
    "JSON_LINES",
    "PATHS",
    "ROWS",
    "ROW_DOCUMENT",
    "SHAPES",
    "Dialect",
    "Example",
    "Inquiry",
    "JsonLines",
    "ModelNames",
    "Ranking",
    "RerankTask",
    "detect_dialect",
    "named_dialect",
    "path_dialect",
]

DEFAULT: Dialect = JinaDialect()
ROWS: Dialect = JinaSageMakerRows()
"""Of CSV: a line of answer for each row."""
ROW_DOCUMENT: Dialect = JinaSageMakerRows(one_document=True)
_SAGEMAKER: Dialect = JinaSageMakerDialect()
_LANGCHAIN: Dialect = LangChainDialect()
_HUGGINGFACE: Dialect = HuggingFaceDialect()
_TEI: Dialect = TeiDialect()
_COHERE: Dialect = CohereDialect()
_COHERE_1: Dialect = CohereDialect(version=1)
_EMBEDDINGS: Dialect = EmbeddingsDialect()

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect for dialect in (DEFAULT, _SAGEMAKER, _LANGCHAIN, _HUGGINGFACE, _TEI, _COHERE, _EMBEDDINGS)
}
"""By name. Each answers at every path."""

PATHS: Mapping[str, Dialect] = {
    "/invocations": DEFAULT,
    "/rerank": DEFAULT,
    "/v1/rerank": DEFAULT,
    "/v2/rerank": _COHERE,
    "/embed": _HUGGINGFACE,
    "/v1/embeddings": _EMBEDDINGS,
}
"""The dialect of each path for what no shape tells."""

# In this order: a field of the first that a body has decides. Version 1 of Cohere's API shares its path and most of
# its fields with Jina's; what only it has are fields that older clients send as null even when they are unset.
SHAPES: tuple[tuple[str, Dialect], ...] = (
    ("data", _SAGEMAKER),
    ("text_pairs", _LANGCHAIN),
    ("inputs", _HUGGINGFACE),
    ("texts", _TEI),
    ("api_version", _COHERE_1),
    ("rank_fields", _COHERE_1),
    ("max_chunks_per_doc", _COHERE_1),
)

_TELLING_EVEN_AS_NULL = frozenset(field for field, dialect in SHAPES if dialect is _COHERE_1)


def named_dialect(attributes: str | None) -> Dialect | None:
    """The dialect that the request's Custom-Attributes header names by `dialect=NAME`.

    Raises InvalidRequest for a name that is not known. Attributes that name none may say anything else.
    """
    for pair in (attributes or "").split(";"):
        key, _, name = pair.strip().partition("=")
        if key.casefold() != "dialect":
            continue
        if name not in DIALECTS:
            known = ", ".join(DIALECTS)
            raise InvalidRequest(
                [Fault(CUSTOM_ATTRIBUTES, f"dialect is {name[:60]!r}; known are {known}", "unknown_dialect")]
            )
        return DIALECTS[name]
    return None


def path_dialect(path: str) -> Dialect:
    return PATHS.get(path, DEFAULT)


def detect_dialect(body: object, path: str) -> Dialect:
    """The dialect of a body decoded from JSON that came to `path`."""
    presumed = path_dialect(path)
    if not isinstance(body, dict):
        return presumed
    found = _dialect_of_shape(body)
    # At Cohere's path what might be Jina's is Cohere's, and of the path's version.
    return presumed if found is None or (presumed is _COHERE and found in (DEFAULT, _COHERE_1)) else found


def _dialect_of_shape(body: Mapping[str, object]) -> Dialect | None:
    # A null option is an absent one, so fields that hold something go first.
    said = {field for field, value in body.items() if value is not None or field in _TELLING_EVEN_AS_NULL}
    found = next((dialect for field, dialect in SHAPES if field in said), None)
    if found or "documents" in said:
        return found or DEFAULT
    named = (*SHAPES, ("query", DEFAULT), ("documents", DEFAULT), ("input", _EMBEDDINGS))
    return next((dialect for field, dialect in named if field in body), None)
