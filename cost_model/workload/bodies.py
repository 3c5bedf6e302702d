"""The queries and documents in a caller's body, whichever of the container's dialects it is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

SHAPES = "query with documents or texts, data, text_pairs, or inputs"


class Asked(NamedTuple):
    """A query and what is to be ranked by it."""

    query: str
    documents: list[str]


def read_body(body: object) -> list[Asked]:
    """What the body asks, a query at a time. Raises ValueError, which says what is wrong."""
    match body:
        case {"data": dict(item)}:
            return [_query_and(item, "documents")]
        case {"data": [*items]} if items:
            return [_query_and(item, "documents") for item in items]
        case {"text_pairs": [*pairs]}:
            return _by_query([_pair(pair, at) for at, pair in enumerate(pairs)], "text_pairs")
        case {"inputs": dict(item)}:
            return _by_query([_text_pair(item, "inputs")], "inputs")
        case {"inputs": [*items]}:
            return _by_query([_text_pair(item, f"inputs[{at}]") for at, item in enumerate(items)], "inputs")
        case {"texts": _}:
            return [_query_and(body, "texts")]
        case {"documents": _} | {"query": _}:
            return [_query_and(body, "documents")]
    raise ValueError(f"is no body that asks for a ranking; expected {SHAPES}")


def _query_and(item: object, field: str) -> Asked:
    if not isinstance(item, Mapping):
        raise ValueError("expected an object with query and documents")
    documents = item.get(field)
    if not isinstance(documents, list) or not documents:
        raise ValueError(f"{field} is {_show(documents)}; expected a list of texts")
    fields = item.get("rank_fields") or ["text"]
    texts = [_text(document, f"{field}[{at}]", fields) for at, document in enumerate(documents)]
    return Asked(_text(item.get("query"), "query", ["text"]), texts)


def _text(value: object, field: str, names: Any) -> str:
    """A string, or the texts of an object's fields."""
    if isinstance(value, Mapping):
        parts = [value.get(name) for name in names]
        texts = [part for part in parts if isinstance(part, str)]
        if texts and len(texts) == len(parts):
            return "\n".join(texts)
    if not isinstance(value, str):
        raise ValueError(f"{field} is {_show(value)}; expected a text")
    return value


def _pair(pair: object, at: int) -> tuple[str, str]:
    match pair:
        case [str(query), str(document)]:
            return query, document
    raise ValueError(f"text_pairs[{at}] is {_show(pair)}; expected [query, document]")


def _text_pair(item: object, field: str) -> tuple[str, str]:
    match item:
        case {"text": str(query), "text_pair": str(document)}:
            return query, document
    raise ValueError(f"{field} is {_show(item)}; expected an object with text and text_pair")


def _by_query(pairs: list[tuple[str, str]], field: str) -> list[Asked]:
    if not pairs:
        raise ValueError(f"{field} is empty; expected pairs of a query and a document")
    asked: dict[str, Asked] = {}
    for query, document in pairs:
        asked.setdefault(query, Asked(query, [])).documents.append(document)
    return list(asked.values())


def _show(value: object) -> str:
    match value:
        case None:
            return "missing"
        case []:
            return "empty"
        case dict():
            return "an object"
        case list():
            return "a list"
    return repr(value)[:40]
