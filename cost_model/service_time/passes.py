"""What an engine computes of a batch: OpenVINO pads the documents of a pass to the longest of them.

Its engine (inference_container/engines/openvino.py) cuts a batch, sorted by length, into passes in the way of all that
costs least: few passes mean much padding, little padding means many passes. Here the next longer document joins a pass
as long as all that is padded there costs less than a pass would, which is within a hundredth of the least. What torch
computes is ragged: a pass a batch, and no padding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rerank_toolkit.catalog.worker_memory import TOKENS_AT_ONCE

PASS_COST = 60
"""What a pass costs besides its tokens, in tokens, as the engine reckons."""

STEP = 8
"""Lengths are padded to multiples of this."""


class Load(NamedTuple):
    """What is computed: the terms of the law. Padding counts."""

    passes: float = 0.0
    sequences: float = 0.0
    tokens: float = 0.0
    squared_tokens: float = 0.0

    def plus(self, other: Load) -> Load:
        return Load(*(one + another for one, another in zip(self, other, strict=True)))

    @classmethod
    def sum(cls, loads: Iterable[Load]) -> Load:
        return cls(*map(sum, zip(*loads, strict=True)))

    def times(self, factor: float) -> Load:
        return Load(*(factor * one for one in self))


def load_of(lengths: Iterable[float], *, padded: bool) -> Load:
    """A batch of documents of so many tokens, at least one, the shortest first; `padded` as OpenVINO computes it."""
    passes, sequences, tokens, squares = 1, 0, 0.0, 0.0
    width, among, wasted = 0.0, 0, 0.0
    for length in lengths:
        if not padded:
            sequences += 1
            tokens += length
            squares += length * length
            continue
        wider = -(-length // STEP) * STEP
        waste = wasted + among * (wider - width)
        if among and (waste > PASS_COST or (among + 1) * wider > TOKENS_AT_ONCE):
            passes, sequences = passes + 1, sequences + among
            tokens, squares = tokens + among * width, squares + among * width * width
            among, waste = 0, 0.0
        width, among, wasted = wider, among + 1, waste
    tokens, squares = tokens + among * width, squares + among * width * width
    return Load(float(passes), float(sequences + among), tokens, squares)
