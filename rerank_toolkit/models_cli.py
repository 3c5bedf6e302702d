"""`rerank models`: the catalogue as a table or as JSON."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from rerank_toolkit import __version__
from rerank_toolkit.catalog.models import Model, load_models
from rerank_toolkit.console import Column, Format, print_json, print_table

app = App(name="models", help="The rerankers this toolkit knows: sizes, licences, published quality.")

COLUMNS = (
    Column("model"),
    Column("alias"),
    Column("family"),
    Column("layers", "right"),
    Column("hidden", "right"),
    Column("parameters", "right"),
    Column("max tokens", "right"),
    Column("BEIR nDCG@10", "right"),
    Column("licence"),
)


@app.default
def models(
    *, format: Format = "table", json: Annotated[bool, Parameter(negative=(), show_default=False)] = False
) -> None:
    """List the catalogue. Parameters are counted from shapes; quality is as published, "?" where unknown.

    Parameters
    ----------
    format
        How to print.
    json
        Short for --format json.
    """
    catalogue = list(load_models().values())
    if json or format == "json":
        print_json({"version": __version__, "models": [_document(model) for model in catalogue]})
        return
    print_table(COLUMNS, [_row(model) for model in catalogue], format=format)


def _document(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "alias": model.alias,
        "kind": model.kind,
        "family": model.family,
        "layers": model.shape.layers,
        "hidden": model.shape.hidden,
        "heads": model.shape.heads,
        "vocabulary": model.shape.vocabulary,
        "parameters": model.parameters,
        "max_tokens": model.max_tokens,
        "license": model.license,
        "weights": list(model.weights),
        "quality": model.quality,
    }


def _row(model: Model) -> tuple[str, ...]:
    return (
        model.id,
        model.alias,
        model.family,
        str(model.shape.layers),
        str(model.shape.hidden),
        f"{model.parameters:,}",
        f"{model.max_tokens:,}",
        f"{model.quality.beir_ndcg_at_10:.2f}" if model.quality else "?",
        model.license,
    )
