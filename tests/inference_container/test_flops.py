"""The catalogue's count of operations, by which work is shared out and priced, against what torch counts."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from inference_container.models.cross_encoder import CrossEncoder
from rerank_toolkit.catalog.models import find_model, load_models
from rerank_toolkit.catalog.shapes import flops


@pytest.mark.parametrize("tokens", [64, 512])
@pytest.mark.parametrize("model_id", load_models())
def test_operations_are_as_torch_counts_them(model_id: str, tokens: int) -> None:
    shape, sequences = find_model(model_id).shape, 4
    with torch.device("meta"):  # shapes alone: nothing is computed
        model = CrossEncoder(shape)
        ids = torch.zeros(sequences * tokens, dtype=torch.int32)
        with FlopCounterMode(display=False) as counter:
            model(ids, ids, [number * tokens for number in range(sequences + 1)])
    counted = counter.get_total_flops() / sequences
    # The last layer is computed for the first token alone, but for its keys and values. Of DeBERTa's long sequences
    # the model takes a product for each distance, the estimate one for distances that share an embedding.
    least = (shape.layers - 1) / shape.layers
    assert 0.95 * least < counted / flops(shape, tokens) < 1.3
