"""From a query and documents to the token sequences that a cross-encoder reads; the query is encoded once.

The result is what `tokenizer.encode(query, document)` gives with `only_second` truncation. How the pair is put
together (special tokens, order, token types) is read off the tokenizer's own post-processor when it is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inference_container.errors import InvalidRequest
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.faults import Fault

Ids = NDArray[np.int32]

TruncationDirection = Literal["right", "left"]
"""The end of a document that is cut."""

CHARACTERS_PER_TOKEN = 32
"""Of a document, so many characters are read for each token that there is room for. Text has 4 or 5, so what is left
is almost always cut anyway, while tokenising 20 MB of it would take 2 GB."""

MOST_CHARACTERS_PER_TOKEN = 8 * CHARACTERS_PER_TOKEN
"""Read where those were too few: blanks, or words so long that they are one token. What stands behind is cut."""

CHARACTERS_AT_ONCE = 2**20
"""In one call of the tokenizer: its result takes a hundred times the memory of what is kept of it."""


class TokenizerUnsupported(ToolkitError):
    """A tokenizer.json that can't be read, or that puts pairs together as no cross-encoder's does."""


class QueryTooLong(InvalidRequest):
    """The query leaves documents less than half of what the model reads; only documents are cut, never the query."""

    def __init__(self, found: str, bound: int) -> None:
        super().__init__(
            [Fault("query", f"is {found} long; at most {bound:,} tokens are allowed; shorten it", "too_long")]
        )


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """One sequence a document, in the documents' order."""

    ids: list[Ids]  # (length,) each
    type_ids: list[Ids]  # (length,) each
    truncated: list[bool]
    """Whether the document was cut."""
    lengths: list[int]
    """Tokens, with the query and special tokens."""

    def extend(self, others: EncodedPairs) -> None:
        self.ids.extend(others.ids)
        self.type_ids.extend(others.type_ids)
        self.truncated.extend(others.truncated)
        self.lengths.extend(others.lengths)

    def reordered(self, positions: Sequence[int]) -> EncodedPairs:
        """The same pairs, each moved to the position that stands in its place: a permutation."""
        at = sorted(range(len(positions)), key=positions.__getitem__)
        return EncodedPairs(
            [self.ids[index] for index in at],
            [self.type_ids[index] for index in at],
            [self.truncated[index] for index in at],
            [self.lengths[index] for index in at],
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A run of a pair: special tokens, or the place of the query (source 0) or of the document (source 1)."""

    source: int | None
    ids: tuple[int, ...]  # of special tokens; empty for a place
    type_ids: tuple[int, ...]  # one for each special token; one for a place


class PairTokenizer:
    """A tokenizer.json as a cross-encoder uses it. Safe to call from several threads."""

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int, type_ids: bool) -> None:
        """`max_tokens` bounds a sequence with its special tokens; without `type_ids` all token types are 0.

        Raises TokenizerUnsupported for pairs that can't be put together from parts.
        """
        self.max_tokens = max_tokens
        self.query_bound = max_tokens // 2
        """Tokens a query may have. Beyond half, documents would be judged by their opening words."""
        self._type_ids = type_ids
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._parts = derive_parts(self._tokenizer)

    @classmethod
    def from_file(cls, path: Path, *, max_tokens: int, type_ids: bool) -> PairTokenizer:
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises no narrower class
            raise TokenizerUnsupported(f"{path} is no tokenizer that this version reads: {error}") from error
        return cls(tokenizer, max_tokens=max_tokens, type_ids=type_ids)

    @property
    def special_tokens(self) -> int:
        """Of each pair."""
        return sum(len(part.ids) for part in self._parts)

    def encode(
        self,
        query: str,
        documents: Sequence[str],
        *,
        max_document_tokens: int | None = None,
        truncation_direction: TruncationDirection = "right",
    ) -> EncodedPairs:
        """`encode_query` and `encode_pairs` in one."""
        return self.encode_pairs(
            self.encode_query(query),
            documents,
            max_document_tokens=max_document_tokens,
            truncation_direction=truncation_direction,
        )

    def encode_query(self, query: str) -> list[int]:
        """The query's ids, for `encode_pairs`. Raises QueryTooLong for more than half of `max_tokens`."""
        ids, whole = self._read(query, self.query_bound)
        if len(ids) > self.query_bound:
            raise QueryTooLong(f"{'' if whole else 'more than '}{len(ids):,} tokens", self.query_bound)
        if not whole:
            raise QueryTooLong(f"{len(query):,} characters", self.query_bound)
        return ids

    def encode_pairs(
        self,
        query: Sequence[int],
        documents: Sequence[str],
        *,
        max_document_tokens: int | None = None,
        truncation_direction: TruncationDirection = "right",
    ) -> EncodedPairs:
        """Sequences of at most `max_tokens`, with at most `max_document_tokens` of the document, which is cut at its
        end, or with "left" at its beginning."""
        place = next(index for index, part in enumerate(self._parts) if part.source == 1)
        before, after = self._parts[:place], self._parts[place + 1 :]
        head, head_types = _join(before, {0: query})
        tail, tail_types = _join(after, {0: query})
        room = self.max_tokens - len(head) - len(tail)
        if max_document_tokens is not None:
            room = min(room, max_document_tokens)
        document_type = self._parts[place].type_ids[0]

        encoded = EncodedPairs([], [], [], [])
        for kept, cut in self._encode_documents(documents, room, truncation_direction):
            ids = np.concatenate([head, kept, tail])
            types = np.concatenate([head_types, np.full(len(kept), document_type, dtype=np.int32), tail_types])
            encoded.ids.append(ids)
            encoded.type_ids.append(types if self._type_ids else np.zeros_like(types))
            encoded.truncated.append(cut)
            encoded.lengths.append(len(ids))
        return encoded

    def _encode_documents(
        self, documents: Sequence[str], room: int, cut: TruncationDirection
    ) -> Iterator[tuple[Ids, bool]]:
        """Of each document the first ids, at most `room`, or the last; and whether that leaves something out."""
        part = _PARTS_READ[cut]
        for group in _groups(documents, [part(text, room, CHARACTERS_PER_TOKEN) for text in documents]):
            encodings = self._tokenizer.encode_batch_fast([read for _, read in group], add_special_tokens=False)
            for (text, read), encoding in zip(group, encodings, strict=True):
                ids, whole = encoding.ids, len(read) == len(text)
                if len(ids) <= room and not whole:
                    ids, whole = self._read(text, room, cut)
                kept = ids[:room] if cut == "right" else ids[max(0, len(ids) - room) :]
                yield np.array(kept, dtype=np.int32), len(ids) > room or not whole

    def _read(self, text: str, room: int, cut: TruncationDirection = "right") -> tuple[list[int], bool]:
        """Ids of a text, more than `room` of them where it has so many, and whether they are those of all of it."""
        for characters_per_token in (CHARACTERS_PER_TOKEN, MOST_CHARACTERS_PER_TOKEN):
            read = _PARTS_READ[cut](text, room, characters_per_token)
            ids: list[int] = self._tokenizer.encode(read, add_special_tokens=False).ids
            if len(ids) > room or len(read) == len(text):
                break
        return ids, len(read) == len(text)


def beginning(text: str, room: int, characters_per_token: int) -> str:
    """The text, or a beginning of it that is likely to have more than `room` tokens.

    Cut between words, where every tokenizer of the catalogue splits first, so that no token before the cut changes.
    Text without white space is cut where it is, far enough behind the last token that is kept. (A run of one same
    character is the exception: Unigram may divide the whole of it otherwise than its beginning.)
    """
    bound = characters_per_token * (room + 1)
    if len(text) <= bound:
        return text
    return text[:bound].rsplit(maxsplit=1)[0] if text[:bound].strip() else text[:bound]


def ending(text: str, room: int, characters_per_token: int) -> str:
    """As `beginning`, of the text's other end."""
    bound = characters_per_token * (room + 1)
    if len(text) <= bound:
        return text
    piece = text[-bound:]
    blank = _BLANK.search(piece)  # with it, for many tokenizers tell a word's beginning by the blank before it
    return piece[blank.start() :] if blank and not piece[blank.start() :].isspace() else piece


_BLANK = re.compile(r"\s+")

_PARTS_READ = {"right": beginning, "left": ending}


def _groups(texts: Sequence[str], read: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """Pairs of a text and what is read of it, in order, in groups of about CHARACTERS_AT_ONCE."""
    group: list[tuple[str, str]] = []
    characters = 0
    for pair in zip(texts, read, strict=True):
        group.append(pair)
        characters += len(pair[1])
        if characters >= CHARACTERS_AT_ONCE:
            yield group
            group, characters = [], 0
    if group:
        yield group


def derive_parts(tokenizer: Tokenizer) -> tuple[Part, ...]:
    """How the tokenizer's post-processor puts a pair together, seen from one pair and checked on another.

    Raises TokenizerUnsupported unless query and document each stand in one place, with one token type.
    """
    seen = tokenizer.encode("what is a reranker", "it sorts documents by relevance")
    parts = []
    for source, run in groupby(zip(seen.sequence_ids, seen.ids, seen.type_ids, strict=True), key=itemgetter(0)):
        _, ids, types = zip(*run, strict=True)
        parts.append(Part(source, ids, types) if source is None else Part(source, (), types[:1]))

    query, document = "another, longer question?", "and its answer"
    texts = {
        source: tokenizer.encode(text, add_special_tokens=False).ids for source, text in enumerate((query, document))
    }
    expected = tokenizer.encode(query, document)
    places = sorted(part.source for part in parts if part.source is not None)
    if places == [0, 1]:
        joined_ids, joined_types = _join(parts, texts)
        if joined_ids.tolist() == expected.ids and joined_types.tolist() == expected.type_ids:
            return tuple(parts)
    raise TokenizerUnsupported(
        f"the tokenizer puts a pair together as {' '.join(seen.tokens)}; expected query and document in one place "
        "each, special tokens around them, and one token type each"
    )


def _join(parts: Sequence[Part], texts: Mapping[int, Sequence[int]]) -> tuple[Ids, Ids]:
    """Ids and token types of `parts` with the ids of each source's text in its place."""
    ids: list[int] = []
    types: list[int] = []
    for part in parts:
        text = part.ids if part.source is None else texts[part.source]
        ids.extend(text)
        types.extend(part.type_ids if part.source is None else part.type_ids * len(text))
    return np.array(ids, dtype=np.int32), np.array(types, dtype=np.int32)
