"""The genuine ms-marco-MiniLM-L-12-v2, text in to logits out, against transformers and against its model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from inference_container.artifact import TOKENIZER, WEIGHTS, open_artifact
from inference_container.engines import Engine, RaggedBatch
from inference_container.engines.loading import load_engine
from inference_container.tokenization import EncodedPairs, PairTokenizer

QUERY = "How many people live in Berlin?"
CARD = [  # of the model card
    "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
    "Berlin is well known for its museums.",
]
# No empty document: transformers takes it for none at all, and scores the query without a second [SEP].
DOCUMENTS = [*CARD, "Berlin", "Population density. " * 40, "Über 日本語 ☃ ﬁ", "Berlin is a city. " * 300]


@pytest.fixture(scope="module")
def engine(minilm_l12: Path) -> Engine:
    return load_engine(open_artifact(minilm_l12), threads=2)


@pytest.fixture(scope="module")
def encoded(minilm_l12: Path) -> EncodedPairs:
    return PairTokenizer.from_file(minilm_l12 / TOKENIZER, max_tokens=512, type_ids=True).encode(QUERY, DOCUMENTS)


@pytest.fixture(scope="module")
def theirs(minilm_l12: Path) -> dict[str, Any]:
    """Token ids, token types and logits of each pair by transformers."""
    import transformers

    shape = open_artifact(minilm_l12).manifest.shape
    config = transformers.BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        num_labels=1,
    )
    model = transformers.BertForSequenceClassification(config).eval()
    model.load_state_dict(load_file(minilm_l12 / WEIGHTS))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(minilm_l12 / TOKENIZER), pad_token="[PAD]", model_max_length=512
    )
    pairs = [
        tokenizer(
            QUERY, document, truncation="only_second", max_length=512, return_tensors="pt", return_token_type_ids=True
        )
        for document in DOCUMENTS
    ]
    with torch.inference_mode():
        logits = [float(model(**pair).logits[0, 0]) for pair in pairs]
    return {
        "ids": [pair["input_ids"][0].tolist() for pair in pairs],
        "type_ids": [pair["token_type_ids"][0].tolist() for pair in pairs],
        "logits": logits,
    }


def test_tokens_are_those_of_transformers(encoded: EncodedPairs, theirs: dict[str, Any]) -> None:
    assert [ids.tolist() for ids in encoded.ids] == theirs["ids"]
    assert [types.tolist() for types in encoded.type_ids] == theirs["type_ids"]
    assert encoded.truncated == [False] * 5 + [True]


def test_logits_are_those_of_transformers(engine: Engine, encoded: EncodedPairs, theirs: dict[str, Any]) -> None:
    logits = engine.score(RaggedBatch.of(encoded.ids, encoded.type_ids))
    np.testing.assert_allclose(logits, theirs["logits"], atol=1e-4, rtol=0)


def test_the_model_cards_pair_scores_as_published(engine: Engine, encoded: EncodedPairs) -> None:
    """For these weights, which are dequantised from int8."""
    logits = engine.score(RaggedBatch.of(encoded.ids[:2], encoded.type_ids[:2]))
    np.testing.assert_allclose(logits, [9.09, -3.93], atol=0.01)


def test_a_batch_scores_as_one_by_one(engine: Engine, encoded: EncodedPairs) -> None:
    together = engine.score(RaggedBatch.of(encoded.ids[::-1], encoded.type_ids[::-1]))[::-1]
    alone = [
        float(engine.score(RaggedBatch.of([ids], [types]))[0])
        for ids, types in zip(encoded.ids, encoded.type_ids, strict=True)
    ]
    np.testing.assert_allclose(together, alone, atol=1e-4, rtol=0)
