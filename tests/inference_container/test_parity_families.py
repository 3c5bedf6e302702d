"""BERT, XLM-RoBERTa and DeBERTa-v2 against transformers on seeded weights.

Agreement proves something only where disagreement shows: each choice that an implementation can get wrong is
flipped on transformers' side, and must move the scores by a hundred times the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from inference_container.checkpoints import normalise
from inference_container.distance_buckets import distance_buckets
from inference_container.models.cross_encoder import CrossEncoder
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from inference_container.sources import parse_source
from rerank_toolkit.catalog.models import Model, find_model
from rerank_toolkit.catalog.shapes import Family, Shape

TOLERANCE = 1e-4
LENGTHS = [1, 2, 9, 64, 200, 512]

_SMALL: dict[str, Any] = {"layers": 3, "hidden": 48, "heads": 6, "intermediate": 80, "vocabulary": 320}
SMALL: dict[Family, Shape] = {
    "bert": Shape(family="bert", positions=512, token_types=2, **_SMALL),
    "xlm-roberta": Shape(family="xlm-roberta", positions=514, token_types=1, layer_norm_eps=1e-5, **_SMALL),
    "deberta-v2": Shape(family="deberta-v2", relative_positions=512, layer_norm_eps=1e-7, **_SMALL),
}
OF_PUBLISHED = {  # the layers as published; fewer of them, and a vocabulary that random ids don't miss
    alias: msgspec.structs.replace(find_model(alias).shape, layers=2, vocabulary=1000)
    for alias in ("minilm-l6", "bge-base", "mxbai-xsmall", "mxbai-base")
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors this small are computed before a second thread has woken up."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


Pair = tuple[torch.Tensor, torch.Tensor]  # ids and token types, (length,) each


def draw_pairs(shape: Shape) -> list[Pair]:
    """Ids above all special tokens: transformers takes a padding token for none at all."""
    random = np.random.default_rng(5)
    return [
        (
            torch.from_numpy(random.integers(5, shape.vocabulary, length)),
            (torch.arange(length) > length // 3).long() * (shape.token_types > 1),
        )
        for length in LENGTHS
    ]


@cache
def ours(shape: Shape) -> NDArray[np.float32]:
    model = CrossEncoder(shape)
    model.load_state_dict({name: torch.from_numpy(t) for name, t in seeded_tensors(shape, 3).items()})
    return score(model, draw_pairs(shape))


def score(model: CrossEncoder, pairs: list[Pair]) -> NDArray[np.float32]:
    """Of all pairs in one ragged batch."""
    ids, types = (torch.cat(values) for values in zip(*pairs, strict=True))
    with torch.inference_mode():
        logits: NDArray[np.float32] = model.eval()(ids, types, [0, *np.cumsum(LENGTHS).tolist()])[:, 0].numpy()
    return logits


def configure(shape: Shape, **changes: object) -> transformers.PreTrainedConfig:
    sizes: dict[str, Any] = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "type_vocab_size": shape.token_types,
        "layer_norm_eps": shape.layer_norm_eps,
        "num_labels": 1,
        **changes,
    }
    match shape.family:
        case "bert":
            return transformers.BertConfig(max_position_embeddings=shape.positions, **sizes)
        case "xlm-roberta":
            return transformers.XLMRobertaConfig(max_position_embeddings=shape.positions, pad_token_id=1, **sizes)
        case _:  # as in microsoft/deberta-v3-*'s config.json, on which the mxbai rerankers stand
            deberta = {
                "relative_attention": True,
                "position_buckets": shape.relative_positions // 2,
                "max_relative_positions": -1,
                "norm_rel_ebd": "layer_norm",
                "share_att_key": True,
                "pos_att_type": "p2c|c2p",
                "position_biased_input": False,
                "pooler_hidden_act": "gelu",
            }
            return transformers.DebertaV2Config(**(deberta | sizes))


def build(shape: Shape, *, strict: bool = True, **changes: object) -> Any:
    """transformers' model with our seeded weights, of a config with `changes`."""
    config = configure(shape, **changes)
    model = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
    weights = {name: torch.from_numpy(tensor) for name, tensor in seeded_tensors(shape, 3).items()}
    model.load_state_dict(weights, strict=strict)
    return model


def logits_of(model: Any, pairs: list[Pair]) -> NDArray[np.float32]:
    """One pair at a time."""
    with torch.inference_mode():
        logits = [model(input_ids=ids[None], token_type_ids=types[None]).logits[0, 0] for ids, types in pairs]
    return torch.stack(logits).numpy()


@pytest.mark.parametrize("shape", [*SMALL.values(), *OF_PUBLISHED.values()], ids=[*SMALL, *OF_PUBLISHED])
def test_scores_are_those_of_transformers(shape: Shape) -> None:
    expected = logits_of(build(shape), draw_pairs(shape))
    assert expected.std() > 0.3
    np.testing.assert_allclose(ours(shape), expected, atol=TOLERANCE, rtol=0)


def test_each_distance_falls_into_the_bucket_of_transformers() -> None:
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

    for rows in (16, 32, 512):
        distances = torch.arange(-1023, 1024)
        theirs = make_log_bucket_position(distances, rows // 2, 512).long() + rows // 2
        assert distance_buckets(1024, rows).tolist() == theirs.clamp(0, rows - 1).tolist()


def without_token_types(shape: Shape) -> NDArray[np.float32]:
    return logits_of(build(shape), [(ids, torch.zeros_like(types)) for ids, types in draw_pairs(shape)])


def with_positions_from(first: int, shape: Shape) -> NDArray[np.float32]:
    model = build(shape)
    with torch.inference_mode():
        logits = [
            model(
                ids[None],
                token_type_ids=types[None],
                position_ids=torch.arange(first, first + len(ids))[None] % shape.positions,
            )
            for ids, types in draw_pairs(shape)
        ]
    return torch.stack([each.logits[0, 0] for each in logits]).numpy()


def with_a_head_without_tanh(shape: Shape) -> NDArray[np.float32]:
    model = build(shape)
    with torch.inference_mode():
        first = torch.cat([model.base_model(ids[None])[0][:, 0] for ids, _ in draw_pairs(shape)])
        if shape.family == "bert":
            logits: torch.Tensor = model.classifier(model.bert.pooler.dense(first))
        else:
            logits = model.classifier.out_proj(model.classifier.dense(first))
    return logits[:, 0].numpy()


def with_query_and_key_swapped(shape: Shape) -> NDArray[np.float32]:
    """Which of the two the distances go through: what c2p's and p2c's tables are made of."""
    model = build(shape)
    for layer in model.deberta.encoder.layer:
        attention = layer.attention.self
        attention.share_att_key = False
        attention.pos_key_proj, attention.pos_query_proj = attention.query_proj, attention.key_proj
    return logits_of(model, draw_pairs(shape))


def with_distances_reversed(shape: Shape) -> NDArray[np.float32]:
    """i - j taken for j - i."""
    model = build(shape)
    table = model.deberta.encoder.rel_embeddings.weight.data
    table[1:] = table[1:].flip(0).clone()  # row rows / 2, the middle of rows 1 to rows - 1, is distance 0
    return logits_of(model, draw_pairs(shape))


@dataclass(frozen=True)
class Flip:
    """Either other words in the config, or a computation of its own."""

    config: dict[str, Any] = field(default_factory=dict)
    compute: Callable[[Shape], NDArray[np.float32]] | None = None

    def scores(self, shape: Shape) -> NDArray[np.float32]:
        if self.compute:
            return self.compute(shape)
        return logits_of(build(shape, strict=False, **self.config), draw_pairs(shape))


FLIPS: dict[tuple[Family, str], Flip] = {
    ("bert", "token types"): Flip(compute=without_token_types),
    ("bert", "position offset"): Flip(compute=lambda shape: with_positions_from(1, shape)),
    ("bert", "tanh"): Flip(compute=with_a_head_without_tanh),
    ("bert", "gelu"): Flip({"hidden_act": "quick_gelu"}),
    ("bert", "heads"): Flip({"num_attention_heads": 3}),
    ("xlm-roberta", "position offset"): Flip(compute=lambda shape: with_positions_from(0, shape)),
    ("xlm-roberta", "position offset by one"): Flip(compute=lambda shape: with_positions_from(1, shape)),
    ("xlm-roberta", "tanh"): Flip(compute=with_a_head_without_tanh),
    ("xlm-roberta", "gelu"): Flip({"hidden_act": "quick_gelu"}),
    ("deberta-v2", "content to position"): Flip({"pos_att_type": ["p2c"]}),
    ("deberta-v2", "position to content"): Flip({"pos_att_type": ["c2p"]}),
    ("deberta-v2", "distances"): Flip({"relative_attention": False}),
    ("deberta-v2", "shared projections"): Flip(compute=with_query_and_key_swapped),
    ("deberta-v2", "direction"): Flip(compute=with_distances_reversed),
    ("deberta-v2", "logarithm"): Flip({"max_relative_positions": 300}),
    ("deberta-v2", "normalised distances"): Flip({"norm_rel_ebd": "none"}),
    ("deberta-v2", "gelu of the pooler"): Flip({"pooler_hidden_act": "tanh"}),
    ("deberta-v2", "gelu"): Flip({"hidden_act": "quick_gelu"}),
}


@pytest.mark.parametrize(("family", "name"), FLIPS, ids=lambda part: part)
def test_flipping_a_choice_moves_the_scores(family: Family, name: str) -> None:
    moved = FLIPS[family, name].scores(SMALL[family])
    assert np.abs(moved - ours(SMALL[family])).max() >= 100 * TOLERANCE


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_checkpoint_that_transformers_wrote_loads_as_it_is(
    family: Family, dtype: str, two_layers: Model, tmp_path: Path
) -> None:
    """With the buffers that older versions wrote beside the weights."""
    shape = SMALL[family]
    model = msgspec.structs.replace(two_layers, shape=shape, weights=())
    theirs = build(shape).to(getattr(torch, dtype))
    theirs.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(seeded_tokenizer(shape).to_str())
    stored = load_file(tmp_path / "model.safetensors")
    buffer = f"{theirs.base_model_prefix}.embeddings.position_ids"
    save_file(stored | {buffer: torch.arange(512)[None]}, tmp_path / "model.safetensors")

    checkpoint = parse_source(f"dir:{tmp_path}").fetch(model, print)
    tensors = normalise(checkpoint.tensors, shape, name="it")
    loaded = CrossEncoder(shape)
    loaded.load_state_dict({name: torch.from_numpy(t.astype(np.float32)) for name, t in tensors.items()})

    expected = logits_of(theirs.float(), draw_pairs(shape))
    np.testing.assert_allclose(score(loaded, draw_pairs(shape)), expected, atol=TOLERANCE, rtol=0)
