from __future__ import annotations

import pytest

from rerank_toolkit.catalog.models import UnknownModel, find_model, load_models
from rerank_toolkit.catalog.shapes import flops

# Millions of parameters as each model's page states them, and Jina's announcement of 2024-04-18.
PUBLISHED_MILLIONS = {
    "jina-reranker-v1-base-en": "137",
    "jina-reranker-v1-turbo-en": "37.8",
    "jina-reranker-v1-tiny-en": "33.0",
    "ms-marco-MiniLM-L-4-v2": "19",
    "ms-marco-MiniLM-L-6-v2": "23",
    "ms-marco-MiniLM-L-12-v2": "33",
    "bge-reranker-base": "278",
    "mxbai-rerank-xsmall-v1": "71",
    "mxbai-rerank-base-v1": "184",
}


@pytest.mark.parametrize(("name", "millions"), PUBLISHED_MILLIONS.items())
def test_counted_parameters_are_the_published_ones(name: str, millions: str) -> None:
    digits = len(millions.partition(".")[2])

    assert f"{find_model(name).parameters / 1e6:.{digits}f}" == millions


def test_the_catalogue_holds_the_nine_rerankers() -> None:
    assert list(load_models()) == list(PUBLISHED_MILLIONS)


def test_names_are_unique_whatever_their_case() -> None:
    models = load_models().values()
    names = [name.casefold() for model in models for name in {model.id, model.alias}]
    stacks = [model.stack for model in models]

    assert len(names) == len(set(names))
    assert len(stacks) == len(set(stacks))


def test_a_model_is_found_by_id_or_alias_in_any_case() -> None:
    assert find_model("MINILM-l12") is find_model("ms-marco-minilm-l-12-v2")


def test_an_unknown_model_names_the_known() -> None:
    with pytest.raises(UnknownModel, match=r"'large'; known are .*tiny \(jina-reranker-v1-tiny-en\)"):
        find_model("large")


def test_arithmetic_grows_with_the_square_of_the_length_only_in_attention() -> None:
    shape = find_model("tiny").shape
    linear = 2 * flops(shape, 1000) - flops(shape, 2000) / 2  # the squares cancel: a·n + b·n² at 1,000 and 2,000

    # four square projections and three feed-forward ones, a multiply-add counted as two, in four layers
    assert linear == 4 * 2 * 1000 * (4 * 384**2 + 3 * 384 * 1536)


def test_base_needs_about_twelve_times_the_arithmetic_of_tiny() -> None:
    ratio = flops(find_model("base").shape, 128) / flops(find_model("tiny").shape, 128)

    assert 11 < ratio < 12  # 12 in the projections, 6 in attention
