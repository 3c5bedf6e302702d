"""Samples of real requests: bodies of every dialect, and what they come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from cost_model.workload.bodies import read_body
from cost_model.workload.sample import MOST_MEASURED, Sample, Tally, measure_sample
from inference_container.dialects import DIALECTS, detect_dialect
from inference_container.dialects.base import ModelNames
from rerank_toolkit.contracts.errors import InvalidInput

NAMES = ModelNames("tiny", frozenset({"tiny"}))

EXAMPLES = [example for dialect in DIALECTS.values() for example in dialect.examples]


def write(folder: Path, bodies: list[Any]) -> Path:
    path = folder / "requests.jsonl"
    path.write_text("".join(f"{json.dumps(body)}\n" for body in bodies), encoding="utf-8")
    return path


def measure(path: Path, tokenizer: Path | None = None, characters: float = 4.0) -> Sample:
    return measure_sample(path, tokenizer=tokenizer, characters_per_token=characters)


@pytest.fixture
def tokenizer(tmp_path) -> Path:
    """A token a word, [CLS] query [SEP] document [SEP]."""
    built = Tokenizer(WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="[UNK]"))
    built.pre_tokenizer = Whitespace()
    built.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    path = tmp_path / "tokenizer.json"
    built.save(str(path))
    return path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.body)[:60])
def test_a_body_is_read_as_the_container_reads_it(example):
    asked = read_body(example.body)

    inquiry = detect_dialect(example.body, example.path).parse(example.body, NAMES)
    theirs = [
        (task.queries[task.query_of[at] if task.query_of else 0], document)
        for task in inquiry.tasks
        for at, document in enumerate(task.documents)
    ]
    ours = [(one.query, document) for one in asked for document in one.documents]
    assert sorted(ours) == sorted(theirs)


def test_tokens_are_counted_by_the_tokenizer(tmp_path, tokenizer):
    bodies = [{"query": "two words", "documents": ["a b c d e", "a b c"]}, {"query": "one", "texts": ["a b"] * 4}]

    sample = measure(write(tmp_path, bodies), tokenizer)

    assert sample.basis == "measured: with tokenizer.json"
    assert sample.documents.histogram == ((2, 1), (4, 1))
    assert sample.tokens.query.histogram == ((1, 1), (2, 1))
    assert sample.tokens.document.histogram == ((2, 4), (3, 1), (5, 1))
    assert sample.tokens.special == 3
    pairs = [2 + 5 + 3, 2 + 3 + 3, *[1 + 2 + 3] * 4]
    assert sample.bytes_per_token == pytest.approx(sum(len(json.dumps(body)) for body in bodies) / sum(pairs))
    assert sample.largest_bytes == max(len(json.dumps(body)) for body in bodies)


def test_without_a_tokenizer_characters_stand_for_tokens(tmp_path):
    sample = measure(write(tmp_path, [{"query": "12345678", "documents": ["x" * 100, "x" * 300]}]))

    assert sample.basis == "assumed: 4 characters a token"
    assert sample.tokens.query.average == 2
    assert sample.tokens.document.average == 50


def test_of_a_long_sample_lines_throughout_are_measured(tmp_path):
    bodies = [
        {"query": "a", "documents": ["x"] * (1 if at < MOST_MEASURED * 2 else 3)} for at in range(MOST_MEASURED * 4)
    ]

    sample = measure(write(tmp_path, bodies))

    assert (sample.measured, sample.lines) == (MOST_MEASURED, MOST_MEASURED * 4)
    assert sample.documents.average == 2
    assert sample.notes == ("every 4th of its 8,000 lines was measured",)


def test_a_tally_keeps_mean_and_spread_in_few_rows():
    lengths = [1 + at * at % 4099 for at in range(20_000)]
    tally = Tally()
    for length in lengths:
        tally.add(length)

    distribution = tally.distribution()

    mean = sum(lengths) / len(lengths)
    assert distribution.average == pytest.approx(mean)
    assert distribution.moments()[2] == pytest.approx(sum(length**2 for length in lengths) / len(lengths), rel=0.001)
    assert distribution.histogram is not None
    assert len(distribution.histogram) < 150


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 1: is not JSON"),
        ("[1]", "line 1: is no body that asks for a ranking; expected query with documents or texts, data"),
        ('{"query": "a"}', "line 1: documents is missing; expected a list of texts"),
        ('{"query": "a", "documents": []}', "line 1: documents is empty"),
        ('{"query": "a", "documents": ["b", 7]}', "line 1: documents[1] is 7; expected a text"),
        ('{"documents": ["b"]}', "line 1: query is missing; expected a text"),
        ('{"data": [1]}', "line 1: expected an object with query and documents"),
        ('{"text_pairs": [["a"]]}', "line 1: text_pairs[0] is a list; expected [query, document]"),
        ('{"text_pairs": []}', "line 1: text_pairs is empty"),
        ('{"inputs": [{"text": "a"}]}', "line 1: inputs[0] is an object; expected an object with text and text_pair"),
        ('{"input": "embed me"}', "line 1: is no body that asks for a ranking"),
        ("", "has no request"),
    ],
)
def test_what_is_no_request_is_told(tmp_path, line, told):
    path = tmp_path / "requests.jsonl"
    path.write_text(line + "\n")

    with pytest.raises(InvalidInput) as caught:
        measure(path)

    assert told in str(caught.value)


def test_the_first_faults_are_told_and_the_others_counted(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text("nothing\n" * 25)

    with pytest.raises(InvalidInput) as caught:
        measure(path)

    assert "line 10: " in str(caught.value)
    assert "line 11: " not in str(caught.value)
    assert "and 15 more faults" in str(caught.value)


def test_what_is_no_tokenizer_is_told(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")

    with pytest.raises(InvalidInput, match=r"is no tokenizer\.json"):
        measure(write(tmp_path, [{"query": "a", "documents": ["b"]}]), path)
