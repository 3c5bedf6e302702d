"""The seam between a caller's body and the work it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference_container.errors import ServingError
from rerank_toolkit.catalog.models import UnknownModel, find_model
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Manifest


@dataclass(frozen=True, slots=True)
class RerankTask:
    """What a body of any dialect asks for."""

    query: str
    documents: Sequence[str]
    top_n: int | None = None
    return_documents: bool = True
    max_document_tokens: int | None = None
    truncate: bool = True
    """False: a document that doesn't fit is a fault instead of being cut."""
    documents_field: str = "documents"
    """What the dialect calls them, for faults that are found after parsing."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores in the order of the task's documents, whatever order the answer has."""

    model: str
    logits: NDArray[np.float32]  # (documents,)
    tokens: int
    """Read by the model: the query and special tokens count once for each document."""
    truncated_documents: int

    def best_first(self) -> list[int]:
        """Documents by falling score; equal scores keep the caller's order."""
        order: list[int] = np.argsort(-self.logits, kind="stable").tolist()
        return order

    def relevance_scores(self) -> list[float]:
        """The logistic function of each logit: between 0 and 1."""
        # In double precision and by tanh, which no logit overflows.
        scores: list[float] = (0.5 * (1 + np.tanh(0.5 * self.logits.astype(np.float64)))).tolist()
        return scores


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


class Dialect(Protocol):
    """One caller's way of asking and of being answered."""

    @property
    def name(self) -> str: ...

    def parse(self, body: object, names: ModelNames) -> RerankTask:
        """The task in a body decoded from JSON; raises InvalidRequest with every fault."""

    def render(self, task: RerankTask, ranking: Ranking) -> object:
        """The answer, for msgspec to encode."""

    def render_error(self, error: ServingError) -> object:
        """An error in this dialect's shape, for msgspec to encode."""
