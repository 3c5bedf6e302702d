"""A sample of real requests, measured: documents a request, tokens of queries and of documents, bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

import msgspec

from cost_model.workload.bodies import read_body
from cost_model.workload.distribution import Distribution
from cost_model.workload.lines import LineFaults, bounded_lines, opened
from cost_model.workload.tokens import SPECIAL, Tokens
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

MOST_MEASURED = 2_000
"""Requests; of a longer file every n-th, so that all parts of it count."""

MOST_CHARACTERS = 64_000_000
"""Of a line; a real-time endpoint takes 25 MB."""

BIN_WIDTH = 0.05
"""Of a histogram's rows above 20, relative; each stands for its members by their mean."""

Measure = Callable[[Sequence[str]], Sequence[float]]
"""Tokens of each text."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What a sample comes to."""

    path: str
    lines: int
    measured: int
    """Requests that were measured."""
    documents: Distribution
    tokens: Tokens
    bytes_per_token: float
    """Of the body, over the pairs' tokens."""
    largest_bytes: int
    """Of the largest body that was measured."""
    basis: str
    """How tokens were counted."""
    notes: tuple[str, ...]


class Tally:
    """A histogram that grows: whole numbers apart while they are small, then bins of a constant ratio."""

    def __init__(self) -> None:
        self._bins: dict[int, tuple[float, float]] = {}

    def add(self, value: float) -> None:
        small = 1 / BIN_WIDTH
        at = round(value) if value <= small else round(small + math.log(value / small) / math.log1p(BIN_WIDTH))
        count, total = self._bins.get(at, (0.0, 0.0))
        self._bins[at] = (count + 1, total + value)

    def distribution(self) -> Distribution:
        rows = sorted((max(total / count, 1.0), count) for count, total in self._bins.values())
        return Distribution(histogram=tuple(rows))


def measure_sample(path: Path, *, tokenizer: Path | None, characters_per_token: float) -> Sample:
    """Reads a file of one request body a line, in any of the container's dialects.

    Without a `tokenizer` (a tokenizer.json), characters over `characters_per_token`, which is assumed. Raises
    InvalidInput with its faults by line.
    """
    measure, special, basis = _ruler(tokenizer, characters_per_token)
    lines = _count_lines(path)
    every = max(1, math.ceil(lines / MOST_MEASURED))
    faults = LineFaults(path)
    documents, query_tokens, document_tokens = Tally(), Tally(), Tally()
    measured = total_bytes = largest_bytes = 0
    pair_tokens = 0.0
    for number, line in _numbered_lines(path):
        if (number - 1) % every or not line.strip():
            continue
        try:
            asked = read_body(msgspec.json.decode(line))
        except (msgspec.DecodeError, RecursionError) as error:
            faults.add_line(number, f"is not JSON: {error}", "not_json")
            continue
        except ValueError as error:
            faults.add_line(number, str(error), "not_a_request")
            continue
        if faults:
            continue  # what is wrong further on is worth telling; measuring isn't worth the time
        measured += 1
        body_bytes = len(line.rstrip("\r\n").encode())
        total_bytes += body_bytes
        largest_bytes = max(largest_bytes, body_bytes)
        documents.add(sum(len(one.documents) for one in asked))
        for query, texts in asked:
            (of_query,) = measure([query])
            of_documents = measure(texts)
            query_tokens.add(max(of_query, 1.0))
            for tokens in of_documents:
                document_tokens.add(max(tokens, 1.0))
            pair_tokens += sum(of_documents) + len(texts) * (of_query + special)
    if not faults and not measured:
        faults.add("", "has no request; expected a JSON body a line, such as one of the container's dialects", "empty")
    faults.refuse()
    notes = [f"every {every:,}th of its {lines:,} lines was measured"] if every > 1 else []
    return Sample(
        path=str(path.resolve()),
        lines=lines,
        measured=measured,
        documents=documents.distribution(),
        tokens=Tokens(query=query_tokens.distribution(), document=document_tokens.distribution(), special=special),
        bytes_per_token=total_bytes / pair_tokens,
        largest_bytes=largest_bytes,
        basis=basis,
        notes=tuple(notes),
    )


def _ruler(tokenizer: Path | None, characters_per_token: float) -> tuple[Measure, int, str]:
    """How to count tokens, the special ones of a pair, and the basis of the counts."""
    if tokenizer is None:
        basis = f"assumed: {characters_per_token:g} characters a token"
        return lambda texts: [len(text) / characters_per_token for text in texts], SPECIAL, basis
    try:
        library = import_module("tokenizers")
    except ImportError:
        told = "needs the library tokenizers: pip install 'rerank-toolkit[serve]', or leave the tokenizer out"
        raise InvalidInput(str(tokenizer), [Fault("", told, "not_installed")]) from None
    try:
        counting = library.Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # the library raises no narrower class
        raise InvalidInput(str(tokenizer), [Fault("", f"is no tokenizer.json: {error}", "unreadable")]) from None
    counting.no_truncation()
    counting.no_padding()

    def measure(texts: Sequence[str]) -> Sequence[float]:
        return [len(encoding) for encoding in counting.encode_batch_fast(list(texts), add_special_tokens=False)]

    return measure, int(counting.num_special_tokens_to_add(True)), f"measured: with {tokenizer.name}"


def _count_lines(path: Path) -> int:
    return sum(1 for _ in _numbered_lines(path))


def _numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    with opened(path) as file:
        yield from enumerate(bounded_lines(file, MOST_CHARACTERS), start=1)
