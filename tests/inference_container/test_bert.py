"""The model file against the catalogue, the published tensor names and transformers."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from inference_container.alibi import slopes
from inference_container.checkpoints import published_tensors
from inference_container.models.attention import LONG, attend, bias_rows, distance_bias, reach
from inference_container.models.cross_encoder import CrossEncoder
from inference_container.seeded import seeded_tensors
from rerank_toolkit.catalog.models import find_model, load_models
from rerank_toolkit.catalog.shapes import Family, Shape

OURS = list(load_models())


def build(shape: Shape, seed: int = 3) -> CrossEncoder:
    with torch.device("meta"):
        model = CrossEncoder(shape)
    model.load_state_dict({name: torch.from_numpy(t) for name, t in seeded_tensors(shape, seed).items()}, assign=True)
    return model.eval()


def on_meta(model_id: str) -> CrossEncoder:
    with torch.device("meta"):
        return CrossEncoder(find_model(model_id).shape)


@pytest.mark.parametrize("model_id", OURS)
def test_the_module_has_as_many_parameters_as_the_catalogue_counts(model_id: str) -> None:
    assert sum(parameter.numel() for parameter in on_meta(model_id).parameters()) == find_model(model_id).parameters


@pytest.mark.parametrize("model_id", OURS)
def test_parameters_are_named_and_sized_as_the_published_tensors(model_id: str) -> None:
    ours = {name: tuple(tensor.shape) for name, tensor in on_meta(model_id).state_dict().items()}
    assert ours == published_tensors(find_model(model_id).shape)


@pytest.mark.parametrize("model_id", list(load_models()))
def test_transformers_counts_as_many_parameters(model_id: str) -> None:
    import transformers

    shape = find_model(model_id).shape
    sizes = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "type_vocab_size": shape.token_types,
        "num_labels": 1,
    }
    with torch.device("meta"):
        match shape.family:
            case "bert":
                config = transformers.BertConfig(max_position_embeddings=shape.positions, **sizes)
                model = transformers.BertForSequenceClassification(config)
            case "xlm-roberta":
                config = transformers.XLMRobertaConfig(max_position_embeddings=shape.positions, **sizes)
                model = transformers.XLMRobertaForSequenceClassification(config)
            case "deberta-v2":
                # As in microsoft/deberta-v3-*'s config.json, on which the mxbai rerankers stand.
                config = transformers.DebertaV2Config(
                    relative_attention=True,
                    position_buckets=shape.relative_positions // 2,
                    max_relative_positions=-1,
                    norm_rel_ebd="layer_norm",
                    share_att_key=True,
                    pos_att_type=["p2c", "c2p"],
                    position_biased_input=False,
                    **sizes,
                )
                model = transformers.DebertaV2ForSequenceClassification(config)
            case "jinabert":  # not in transformers: a BERT without positions and with a second projection up
                config = transformers.BertConfig(max_position_embeddings=0, **sizes)
                model = transformers.BertForSequenceClassification(config)
    theirs = sum(parameter.numel() for parameter in model.parameters())
    if shape.family == "jinabert":
        theirs += shape.layers * shape.intermediate * (shape.hidden - 1)  # without the bias of the first
    assert find_model(model_id).parameters == theirs


def test_slopes_of_a_power_of_two_are_geometric_and_of_others_drawn_from_two_series() -> None:
    assert slopes(8) == [2.0**-i for i in range(1, 9)]
    assert slopes(12) == [2.0**-i for i in range(1, 9)] + [2.0**-0.5, 2.0**-1.5, 2.0**-2.5, 2.0**-3.5]


@pytest.mark.parametrize(("length", "longest"), [(1, 1), (1, 7), (5, 5), (5, 7)])
def test_the_bias_is_a_view_of_all_distances_with_the_keys_reversed(length: int, longest: int) -> None:
    table = distance_bias(4, longest, torch.empty(1))
    place = torch.arange(length)
    matrix = -torch.tensor(slopes(4))[:, None, None] * (place[:, None] - place[None, :]).abs()
    reversed_keys = matrix.flip(-1)
    for start in range(length):
        view = bias_rows(table, start, length - start, length)
        assert torch.equal(view[0], reversed_keys[:, start:])
        assert view.untyped_storage().data_ptr() == table.untyped_storage().data_ptr()


@pytest.mark.parametrize("gain", [0.1, 1.0, 3.0])
def test_heads_that_look_no_further_than_they_see_attend_as_if_they_did(gain: float) -> None:
    length, heads = 2 * LONG, 12
    random = torch.Generator().manual_seed(7)
    q, k, v = (torch.randn(heads, length, 8, generator=random) for _ in range(3))
    q, k = gain * q, gain * k
    k[:, -1] *= 20 / gain  # a key that draws queries from afar, if their slope lets it
    assert reach(q, k).min() < length
    place = torch.arange(length)
    distance = (place[:, None] - place).abs()
    got = attend(q, k.flip(1), v.flip(1), distance_bias(heads, length, q))  # (length, heads * 8)
    for head, slope in enumerate(slopes(heads)):
        scores = q[head].double() @ k[head].double().T / 8**0.5 - slope * distance
        expected = scores.softmax(-1) @ v[head].double()
        torch.testing.assert_close(got[:, 8 * head : 8 * head + 8].double(), expected, atol=1e-5, rtol=0)


def test_reach_is_all_keys_where_scores_are_not_numbers() -> None:
    q = torch.full((4, 100, 8), torch.nan)
    assert reach(q, q).tolist() == [100] * 4


@pytest.mark.parametrize("family", get_args(Family))
def test_gradients_reach_every_weight(family: Family) -> None:
    """The forward pass is trainable: nothing in it writes in place or leaves the graph."""
    sizes = {"positions": 0, "token_types": 0, "relative_positions": 0}
    match family:
        case "bert":
            sizes |= {"positions": 16, "token_types": 2}
        case "jinabert":
            sizes |= {"token_types": 2}
        case "xlm-roberta":
            sizes |= {"positions": 16, "token_types": 1}
        case "deberta-v2":
            sizes |= {"relative_positions": 24}
    model = build(Shape(family=family, layers=2, hidden=48, heads=4, intermediate=64, vocabulary=320, **sizes))
    ids = torch.arange(5, 25)
    model(ids, ids % 2 * (sizes["token_types"] > 1), [0, 12, 20]).square().sum().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    # A key's bias adds the same to all scores of a query, which softmax takes away again.
    assert [name for name in silent if not name.endswith("key.bias")] == []
