"""The seam between a caller's body and the work it asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference_container.errors import InvalidRequest, ServingError
from rerank_toolkit.catalog.models import UnknownModel, find_model
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Manifest
from rerank_toolkit.contracts.wire import ErrorBody, ErrorItem

JSON = "application/json"
JSON_LINES = "application/jsonlines"

TruncationDirection = Literal["right", "left"]


@dataclass(frozen=True, slots=True)
class RerankTask:
    """What there is to score, whatever dialect it was asked in."""

    queries: Sequence[str]
    """Distinct: each is tokenised once."""
    documents: Sequence[str]
    query_of: Sequence[int] | None = None
    """For each document, the position of its query; None: all go with the first."""
    max_document_tokens: int | None = None
    truncate: bool = True
    """False: a document that doesn't fit is a fault instead of being cut."""
    truncation_direction: TruncationDirection = "right"
    """The end that is cut."""
    query_field: str = "query"
    document_field: str = "documents[{index}]"
    """What the caller called them, for faults that are found after parsing; {index} is a document's position."""

    @classmethod
    def of_pairs(
        cls,
        pairs: Sequence[tuple[str, str]],
        *,
        query_field: str,
        document_field: str,
        truncate: bool = True,
        truncation_direction: TruncationDirection = "right",
    ) -> RerankTask:
        """Pairs of a query and a document; each distinct query is kept once."""
        positions: dict[str, int] = {}
        query_of = [positions.setdefault(query, len(positions)) for query, _ in pairs]
        return cls(
            queries=list(positions),
            documents=[document for _, document in pairs],
            query_of=query_of,
            truncate=truncate,
            truncation_direction=truncation_direction,
            query_field=query_field,
            document_field=document_field,
        )

    def name_query(self, query: int) -> str:
        """The field that holds this query; where each document brings its own, that of the first that brought it."""
        return self.query_field.format(index=self.query_of.index(query) if self.query_of else 0)

    def name_document(self, index: int) -> str:
        return self.document_field.format(index=index)

    def moved_to(self, place: str) -> RerankTask:
        """The same task, whose fields stand at `place` of the request."""
        return replace(self, query_field=f"{place}.{self.query_field}", document_field=f"{place}.{self.document_field}")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores in the order of the documents, whatever order the answer has."""

    model: str
    logits: NDArray[np.float32]  # (documents,)
    lengths: Sequence[int]
    """Tokens that the model read for each document, those of the query and special ones included."""
    query_lengths: Sequence[int]
    """Of which the query's, for each document."""
    truncated: Sequence[bool]
    """Whether the document was cut."""

    @property
    def tokens(self) -> int:
        """Read by the model: the query and special tokens count once for each document."""
        return sum(self.lengths)

    @property
    def truncated_documents(self) -> int:
        return sum(self.truncated)

    def part(self, first: int, count: int) -> Ranking:
        """Of so many documents, as a ranking of their own."""
        last = first + count
        return Ranking(
            self.model,
            self.logits[first:last],
            self.lengths[first:last],
            self.query_lengths[first:last],
            self.truncated[first:last],
        )

    def best_first(self) -> list[int]:
        """Documents by falling score; equal scores keep the caller's order."""
        order: list[int] = np.argsort(-self.logits, kind="stable").tolist()
        return order

    def relevance_scores(self) -> list[float]:
        """The logistic function of each logit: between 0 and 1."""
        # In double precision and by tanh, which no logit overflows.
        scores: list[float] = (0.5 * (1 + np.tanh(0.5 * self.logits.astype(np.float64)))).tolist()
        return scores

    def scores(self, *, raw: bool) -> list[float]:
        """Logits if `raw`, else relevance scores."""
        return self.logits.astype(np.float64).tolist() if raw else self.relevance_scores()


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A body that was understood: what to score, and how to say what came of it."""

    tasks: Sequence[RerankTask]
    """Mostly one; a body of several lines or rows asks for several."""
    render: Callable[[Ranking], object]
    """The answer, for msgspec to encode, from the ranking of all tasks' documents, one task after the other."""

    @property
    def documents(self) -> int:
        return sum(len(task.documents) for task in self.tasks)


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The names by which a request may call for the served model."""

    served: str
    accepted: frozenset[str]

    @classmethod
    def of(cls, manifest: Manifest) -> ModelNames:
        names = {manifest.model_id, manifest.display_name}
        with suppress(UnknownModel):  # an artifact of a model that the catalogue doesn't hold is served all the same
            names.add(find_model(manifest.model_id).alias)
        return cls(manifest.display_name, frozenset(name.casefold() for name in names))

    def fault(self, name: str, *, field: str) -> Fault | None:
        """What is wrong with calling for `name`; a hub repository's OWNER/ before it is ignored."""
        if name.casefold().rpartition("/")[2] in self.accepted:
            return None
        shown = name if len(name) <= 60 else f"{name[:57]}…"
        return Fault(field, f"is {shown!r}; this server has {self.served}; name that one or none", "unknown_model")


@dataclass(frozen=True, slots=True)
class Example:
    """A request of a dialect, as its client sends it."""

    body: object
    path: str = "/invocations"


class Dialect(Protocol):
    """One caller's way of asking and of being answered."""

    @property
    def name(self) -> str: ...

    @property
    def media_type(self) -> str:
        """JSON; or JSON_LINES, for which `render` of an inquiry gives a list with an item for each line."""

    @property
    def request(self) -> type[msgspec.Struct] | None:
        """The shape of a body, or of the part of it that is asked for; None where there is none."""

    @property
    def examples(self) -> Sequence[Example]: ...

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        """What a body decoded from JSON asks for; raises InvalidRequest with every fault."""

    def error_status(self, error: ServingError) -> int:
        """The HTTP status by which this dialect's callers know such an error."""

    def render_error(self, error: ServingError) -> object:
        """An error in this dialect's shape, for msgspec to encode."""


class JsonDialect:
    """What most dialects have in common: one JSON document each way, errors as in Jina's API."""

    name: str
    media_type = JSON
    request: type[msgspec.Struct] | None = None
    examples: Sequence[Example] = ()

    def error_status(self, error: ServingError) -> int:
        return error.status

    def render_error(self, error: ServingError) -> object:
        """`{"detail"}`, with a list of `errors` where the request has faults."""
        if not isinstance(error, InvalidRequest):
            return ErrorBody(str(error))
        return ErrorBody(str(error), [ErrorItem(fault.field, fault.message, fault.type) for fault in error.faults])
