"""Pairs against the tokenizers library's own pairs, over every way of putting one together that we know."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from inference_container.artifact import TOKENIZER
from inference_container.tokenization import PairTokenizer, QueryTooLong, TokenizerUnsupported
from rerank_toolkit.contracts.faults import Fault

WORDS = ["[CLS]", "[SEP]", "[UNK]", "<s>", "</s>", *"abcdefgh", *(f"##{letter}" for letter in "abcdefgh")]
IDS = {word: number for number, word in enumerate(WORDS)}
SPECIALS = [(word, IDS[word]) for word in ("[CLS]", "[SEP]", "<s>", "</s>")]


def template(pair: str) -> processors.PostProcessor:
    return processors.TemplateProcessing(single="$A", pair=pair, special_tokens=SPECIALS)


PROCESSORS = {
    "bert": processors.BertProcessing(("[SEP]", IDS["[SEP]"]), ("[CLS]", IDS["[CLS]"])),
    "roberta": processors.RobertaProcessing(("</s>", IDS["</s>"]), ("<s>", IDS["<s>"])),
    "template": template("[CLS] $A [SEP] $B:1 [SEP]:1"),
    "document first": template("[CLS]:1 $B:3 [SEP] [SEP] $A:2"),
    "no special tokens": template("$A $B:1"),
    "sequence": processors.Sequence([processors.ByteLevel(), template("<s> $A </s> </s> $B </s>")]),
    "none": None,
}


def wordpiece(processor: processors.PostProcessor | None) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(IDS, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([word for word, _ in SPECIALS])
    if processor is not None:
        tokenizer.post_processor = processor
    return tokenizer


def expected(tokenizer: Tokenizer, query: str, document: str, max_tokens: int) -> tuple[list[int], list[int], bool]:
    own = Tokenizer.from_str(tokenizer.to_str())
    full = len(own.encode(query, document).ids)
    own.enable_truncation(max_tokens, strategy="only_second")
    encoding = own.encode(query, document)
    return encoding.ids, encoding.type_ids, full > max_tokens


def assert_same(tokenizer: Tokenizer, query: str, documents: list[str], max_tokens: int) -> None:
    pairs = PairTokenizer(Tokenizer.from_str(tokenizer.to_str()), max_tokens=max_tokens, type_ids=True)
    encoded = pairs.encode(query, documents)
    for index, document in enumerate(documents):
        ids, types, cut = expected(tokenizer, query, document, max_tokens)
        assert encoded.ids[index].tolist() == ids
        assert encoded.type_ids[index].tolist() == types
        assert encoded.truncated[index] == cut
        assert encoded.lengths[index] == len(ids) <= max_tokens
        assert encoded.ids[index].dtype == encoded.type_ids[index].dtype == np.int32


# Special tokens written out in a text are special tokens to the tokenizers library; ours is no different.
TEXTS = st.lists(st.sampled_from(["a", "bc", "Defg", "hh", "?", "é", "[SEP]", "</s>", " ", "\n"]), max_size=12).map(
    " ".join
)


@pytest.mark.parametrize("name", PROCESSORS)
@given(query=TEXTS, documents=st.lists(TEXTS, min_size=1, max_size=4))
def test_pairs_are_those_of_the_tokenizers_library(name: str, query: str, documents: list[str]) -> None:
    tokenizer = wordpiece(PROCESSORS[name])
    length = len(tokenizer.encode(query, add_special_tokens=False).ids)
    for max_tokens in (2 * length + 12, 2 * length + 13, 512):
        assert_same(tokenizer, query, documents, max_tokens)


QUERY = "how do I sort a list, in place?"
DOCUMENTS = ["list.sort() sorts in place.", "", "日本語 " * 700, "a " * 600, "[SEP] of a kind", "word"]


@pytest.mark.parametrize("fixture", ["small_bert", "small_jinabert"])
def test_seeded_artifacts_tokenise_as_the_library_does(fixture: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(fixture)
    assert_same(Tokenizer.from_file(str(folder / TOKENIZER)), QUERY, DOCUMENTS, 512)


def test_truncation_and_padding_stored_in_the_file_are_ignored(small_bert: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(small_bert / TOKENIZER))
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(tmp_path / TOKENIZER))
    encoded = PairTokenizer.from_file(tmp_path / TOKENIZER, max_tokens=512, type_ids=True).encode("is it", ["x" * 30])
    assert encoded.lengths == [5 + 30 + 3]


def test_without_type_ids_all_token_types_are_zero(small_bert: Path) -> None:
    encoded = PairTokenizer.from_file(small_bert / TOKENIZER, max_tokens=512, type_ids=False).encode(QUERY, DOCUMENTS)
    assert not any(types.any() for types in encoded.type_ids)
    assert [len(types) for types in encoded.type_ids] == encoded.lengths


def test_max_document_tokens_cuts_documents_further(small_bert: Path) -> None:
    pairs = PairTokenizer.from_file(small_bert / TOKENIZER, max_tokens=64, type_ids=True)
    query, documents = "12345", ["x" * 10, "x" * 11, "x" * 200]
    encoded = pairs.encode(query, documents, max_document_tokens=10)
    assert encoded.lengths == [18, 18, 18]
    assert encoded.truncated == [False, True, True]
    generous = pairs.encode(query, documents, max_document_tokens=1000)
    assert generous.lengths == [18, 19, 64]
    assert generous.truncated == [False, False, True]


def test_a_query_of_half_the_tokens_is_the_longest(small_bert: Path) -> None:
    pairs = PairTokenizer.from_file(small_bert / TOKENIZER, max_tokens=64, type_ids=True)
    assert pairs.encode("q" * 32, ["d" * 100]).lengths == [64]
    with pytest.raises(QueryTooLong, match="query: is 33 tokens long; at most 32 tokens are allowed") as caught:
        pairs.encode("q" * 33, ["short"])
    assert caught.value.status == 422
    assert [type(fault) for fault in caught.value.faults] == [Fault]


@pytest.mark.parametrize("pair", ["[CLS] $A $A $B [SEP]", "[CLS] $A [SEP] $B $B", "$B $A $B"])
def test_a_tokenizer_that_repeats_a_text_is_refused(pair: str) -> None:
    with pytest.raises(TokenizerUnsupported, match="expected query and document in one place each"):
        PairTokenizer(wordpiece(template(pair)), max_tokens=64, type_ids=True)


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / TOKENIZER).write_text(json.dumps({"version": "1.0", "model": {"type": "Mystery"}}))
    with pytest.raises(TokenizerUnsupported, match=r"tokenizer\.json is no tokenizer that this version reads"):
        PairTokenizer.from_file(tmp_path / TOKENIZER, max_tokens=64, type_ids=True)


@pytest.mark.parametrize(
    "text",
    [
        "ab cd efg " * 20_000,
        " " * 10_000 + "a b c",
        "abcdefgh" * 1_500,
        "a" * 300 + " b" * 300,
        "gh " + " " * 10_000 + "ab",
    ],
    ids=["words", "blank start", "one word", "long word first", "gap"],
)
def test_a_beginning_of_a_long_document_is_as_good_as_the_whole(text: str) -> None:
    tokenizer = wordpiece(PROCESSORS["bert"])

    assert_same(tokenizer, "a b", [text, "short", text[:5000]], max_tokens=64)


def test_reading_ends_where_a_document_is_odd_beyond_measure() -> None:
    pairs = PairTokenizer(wordpiece(PROCESSORS["bert"]), max_tokens=64, type_ids=True)
    encoded = pairs.encode("a b", ["gh " + " " * 10**6 + "ab", "abcdefgh" * 10**5, "gh"])
    assert [ids[4:-1].tolist() for ids in encoded.ids] == [
        [IDS["g"], IDS["##h"]],
        [IDS["[UNK]"]],
        [IDS["g"], IDS["##h"]],
    ]
    assert encoded.truncated == [True, True, False]


@pytest.mark.parametrize(
    ("query", "found"),
    [("a " * 10**6, "more than 1,039 tokens"), (" " * 10**6, "1,000,000 characters")],
    ids=["words", "blanks"],
)
def test_a_query_of_any_length_is_refused_without_reading_it_all(query: str, found: str) -> None:
    pairs = PairTokenizer(wordpiece(PROCESSORS["bert"]), max_tokens=128, type_ids=True)
    with pytest.raises(QueryTooLong, match=f"query: is {found} long; at most 64 tokens are allowed"):
        pairs.encode_query(query)


MEASURE = """
import os
import sys
from pathlib import Path
from inference_container.memory import process_memory
from inference_container.tokenization import PairTokenizer, QueryTooLong
pairs = PairTokenizer.from_file(Path(sys.argv[1]), max_tokens=512, type_ids=True)
query, documents = eval(sys.argv[2])
before = process_memory(os.getpid()).resident
try:
    lengths = set(pairs.encode(query, documents).lengths)
except QueryTooLong:
    lengths = "too long"
print((process_memory(os.getpid()).peak - before) / 2**20, lengths)
"""


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("'a', ['a b c d ' * 3_000_000, *['a b c d ' * 600] * 2000]", "{512}"),
        ("'a', ['abcdefgh' * 3_000_000]", "{5}"),
        ("'a', [' ' * 5_000_000]", "{4}"),
        ("'a b ' * 6_000_000, ['a']", "too long"),
        ("'abcdefgh' * 3_000_000, ['a']", "too long"),
    ],
    ids=["words", "one word", "blanks", "query", "query of one word"],
)
def test_twenty_megabytes_of_text_take_no_gigabytes(texts: str, expected: str, tmp_path: Path) -> None:
    wordpiece(PROCESSORS["bert"]).save(str(tmp_path / TOKENIZER))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / TOKENIZER), texts]
    grown, lengths = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(" ", 1)
    assert lengths == expected
    assert float(grown) < 200  # MiB
