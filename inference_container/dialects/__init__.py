"""One file for each caller's body shape, and the choice among them."""

from __future__ import annotations

from inference_container.dialects.base import Dialect, ModelNames, Ranking, RerankTask
from inference_container.dialects.jina import JinaDialect
from inference_container.errors import InvalidRequest
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES

__all__ = ["DEFAULT", "Dialect", "ModelNames", "Ranking", "RerankTask", "choose_dialect"]

DEFAULT: Dialect = JinaDialect()
_DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (DEFAULT,)}


def choose_dialect(attributes: str | None) -> Dialect:
    """The dialect that the request's Custom-Attributes header names by `dialect=NAME`, else the default.

    Raises InvalidRequest for a name that is not known. Attributes that name none may say anything else.
    """
    for pair in (attributes or "").split(";"):
        key, _, name = pair.strip().partition("=")
        if key.casefold() != "dialect":
            continue
        if name not in _DIALECTS:
            known = ", ".join(_DIALECTS)
            raise InvalidRequest(
                [Fault(CUSTOM_ATTRIBUTES, f"dialect is {name!r}; known are {known}", "unknown_dialect")]
            )
        return _DIALECTS[name]
    return DEFAULT
