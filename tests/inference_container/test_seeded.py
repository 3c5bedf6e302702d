"""Seeded weights must behave: a parity test on scores that are all the same can't fail."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np
import pytest
import torch

from inference_container.checkpoints import published_tensors
from inference_container.models.cross_encoder import CrossEncoder
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from rerank_toolkit.catalog.models import load_models
from rerank_toolkit.catalog.shapes import Shape, count_parameters
from rerank_toolkit.contracts.errors import InvalidInput

BERT = Shape(
    family="bert", layers=2, hidden=48, heads=12, intermediate=96, vocabulary=320, positions=512, token_types=2
)
JINABERT = Shape(family="jinabert", layers=2, hidden=48, heads=12, intermediate=96, vocabulary=320, token_types=2)
DEEP = Shape(family="jinabert", layers=8, hidden=96, heads=12, intermediate=192, vocabulary=320, token_types=2)


@pytest.mark.parametrize("model", load_models().values(), ids=lambda model: model.id)
def test_published_tensors_hold_the_catalogues_parameters(model) -> None:
    assert sum(math.prod(sizes) for sizes in published_tensors(model.shape).values()) == count_parameters(model.shape)


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (seeded_tensors(BERT, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)
    assert {tensor.dtype for tensor in first.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("shape", [BERT, JINABERT, DEEP], ids=["bert", "jinabert", "deep jinabert"])
@pytest.mark.parametrize("characters", [10, 400])
def test_scores_differ_between_documents(shape: Shape, characters: int) -> None:
    model = _load(shape, seed=7)
    tokenizer = seeded_tokenizer(shape)
    draw = random.Random(1)
    documents = ["".join(draw.choices("abcdefghij ", k=characters)) for _ in range(8)]
    assert np.std(_score(model, tokenizer, documents)) >= 0.3


def _load(shape: Shape, seed: int) -> CrossEncoder:
    model = CrossEncoder(shape)
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in seeded_tensors(shape, seed).items()})
    return model.eval()


def _score(model: CrossEncoder, tokenizer, documents: list[str]) -> list[float]:
    pairs = [tokenizer.encode("how many?", document) for document in documents]
    ids = torch.tensor([token for pair in pairs for token in pair.ids])
    type_ids = torch.tensor([kind for pair in pairs for kind in pair.type_ids])
    offsets = np.cumsum([0, *(len(pair.ids) for pair in pairs)]).tolist()
    with torch.inference_mode():
        return model(ids, type_ids, offsets).flatten().tolist()


def test_scores_stay_within_reach_of_a_sigmoid() -> None:
    # Beyond about 17 a sigmoid in fp32 is 1, and every score ties.
    scores = _score(_load(BERT, 7), seeded_tokenizer(BERT), ["a", "some text", "x" * 400])
    assert max(map(abs, scores)) < 12
    assert all(first != second for first, second in pairwise(scores))


def test_tokenizer_marks_query_and_document() -> None:
    pair = seeded_tokenizer(BERT).encode("ab", "c d")
    assert pair.tokens == ["[CLS]", "a", "b", "[SEP]", "c", "Ġ", "d", "[SEP]"]
    assert pair.type_ids == [0, 0, 0, 0, 1, 1, 1, 1]


def test_tokenizer_of_xlm_roberta_has_its_own_template_and_one_token_type() -> None:
    shape = load_models()["bge-reranker-base"].shape
    pair = seeded_tokenizer(shape).encode("ab", "c")
    assert pair.tokens == ["<s>", "a", "b", "</s>", "</s>", "c", "</s>"]
    assert set(pair.type_ids) == {0}


def test_tokenizer_reads_every_byte_and_gives_it_back() -> None:
    tokenizer = seeded_tokenizer(BERT)
    text = "Größe 🙂\n\tΔ \x00 <b>"
    encoding = tokenizer.encode(text, add_special_tokens=False)
    assert len(encoding.ids) == len(text.encode())
    assert max(encoding.ids) < BERT.vocabulary
    assert tokenizer.decode(encoding.ids) == text


def test_vocabulary_too_small_for_bytes_is_refused() -> None:
    shape = Shape(family="bert", layers=1, hidden=4, heads=1, intermediate=4, vocabulary=100, positions=8)
    with pytest.raises(InvalidInput, match="vocabulary: is 100; a byte-level tokenizer needs 261"):
        seeded_tokenizer(shape)
