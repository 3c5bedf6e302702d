from __future__ import annotations

import msgspec
import pytest

from rerank_toolkit.bench.arithmetic import necessary_flops
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.catalog.shapes import flops

LENGTHS = (17, 130, 512)


def necessary(shape, layers):
    return necessary_flops(
        msgspec.structs.replace(shape, layers=layers),
        documents=len(LENGTHS),
        tokens=sum(LENGTHS),
        sum_squared_tokens=sum(length * length for length in LENGTHS),
    )


@pytest.mark.parametrize("model", ["tiny", "base", "minilm-l6", "bge-base"])
def test_a_layer_more_is_a_whole_layer_more(model):
    shape = find_model(model).shape
    layer = sum(flops(msgspec.structs.replace(shape, layers=1), length) for length in LENGTHS)

    assert necessary(shape, 4) - necessary(shape, 3) == pytest.approx(layer)


def test_the_last_layer_needs_keys_and_values_of_all_tokens_and_little_else():
    shape = find_model("minilm-l6").shape
    layer = sum(flops(msgspec.structs.replace(shape, layers=1), length) for length in LENGTHS)
    keys_and_values = 2 * sum(LENGTHS) * 2 * shape.hidden * shape.hidden

    assert keys_and_values < necessary(shape, 1) < keys_and_values * 1.05 < layer / 4
