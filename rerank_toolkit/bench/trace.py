"""A trace: requests of stated sizes at stated moments, from a file or drawn; and the part of it that fits a pace."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated

import msgspec

from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault, collect_faults

Tokens = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Arrival(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request of a trace. In a file it is a line: {"at_s": 0.25, "tokens": [120, 88]}."""

    at_s: Annotated[float, msgspec.Meta(ge=0)]
    """Seconds from the trace's beginning."""
    tokens: Annotated[list[Tokens], msgspec.Meta(min_length=1, max_length=100_000)]
    """Of each document as the model reads it: query and special tokens included."""

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens)


@dataclass(frozen=True, slots=True)
class Mix:
    """Requests whose number of documents and whose documents' lengths are lognormal. Lengths are those of pairs."""

    median_documents: float = 20.0
    documents_sigma: float = 0.5
    most_documents: int = 100
    median_tokens: float = 130.0
    tokens_sigma: float = 0.6
    least_tokens: int = 24
    most_tokens: int = 500
    query_tokens: int = 10

    def __str__(self) -> str:
        return (
            f"documents lognormal with median {self.median_documents:g} and sigma {self.documents_sigma:g}, at most "
            f"{self.most_documents}; pairs lognormal with median {self.median_tokens:g} tokens and sigma "
            f"{self.tokens_sigma:g}, clipped to {self.least_tokens}..{self.most_tokens}"
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """Two requests at least, in the order of their moments."""

    arrivals: tuple[Arrival, ...]
    name: str

    def first(self, count: int) -> Trace:
        return Trace(self.arrivals[:count], self.name)

    def fitting(self, seconds: float, *, tokens_per_second: float) -> int:
        """How many of its requests, from the first on, bring so many tokens a second for so long; two at least."""
        sums = accumulate(arrival.total_tokens for arrival in self.arrivals)
        fitting = sum(total <= seconds * tokens_per_second for total in sums)
        return max(2, fitting)

    def at_pace(self, tokens_per_second: float) -> list[float]:
        """The moments of its requests, the first at 0, stretched evenly until they bring so many tokens a second.

        What comes after the last request is taken to be a mean gap, so n requests span n gaps.
        """
        moments = [arrival.at_s - self.arrivals[0].at_s for arrival in self.arrivals]
        span = moments[-1] * len(moments) / (len(moments) - 1)
        wanted = sum(arrival.total_tokens for arrival in self.arrivals) / tokens_per_second
        return [moment * wanted / span for moment in moments]


def draw_trace(mix: Mix, *, requests: int, seed: int) -> Trace:
    """Requests of `mix` as a Poisson process of one a second; the same seed draws the same trace."""
    source = random.Random(seed)
    arrivals = []
    at_s = 0.0
    for _ in range(requests):
        documents = _lognormal(source, mix.median_documents, mix.documents_sigma, 1, mix.most_documents)
        tokens = [
            _lognormal(source, mix.median_tokens, mix.tokens_sigma, mix.least_tokens, mix.most_tokens)
            for _ in range(documents)
        ]
        arrivals.append(Arrival(round(at_s, 6), tokens))
        at_s += source.expovariate(1.0)
    return Trace(tuple(arrivals), f"Poisson arrivals; {mix}")


def read_trace(path: Path) -> Trace:
    """The trace in a file of JSON lines. Raises InvalidInput with every fault and its line, up to MOST_FAULTS."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidInput(str(path), [Fault("", f"can't be read: {error.strerror}", "unreadable")]) from None
    arrivals: list[Arrival] = []
    faults: list[Fault] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _read_line(line, f"line {number}")
        if isinstance(found, Arrival):
            arrivals.append(found)
        faults += found if isinstance(found, list) else []
        if len(faults) >= MOST_FAULTS:
            break
    for (number, one), (_, later) in pairwise(enumerate(arrivals, start=1)):
        if later.at_s < one.at_s:
            told = f"is {later.at_s:g}, before request {number}'s {one.at_s:g}; sort the requests by their moments"
            faults.append(Fault(f"request {number + 1}: at_s", told, "unordered"))
    if not faults and (len(arrivals) < 2 or arrivals[0].at_s == arrivals[-1].at_s):
        told = f"holds {len(arrivals)} requests; expected at least two, at different moments, one a line"
        faults.append(Fault("", told, "too_short"))
    if faults:
        raise InvalidInput(str(path), faults[:MOST_FAULTS])
    return Trace(tuple(arrivals), path.name)


def _read_line(line: bytes, name: str) -> Arrival | list[Fault]:
    try:
        document = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return [Fault(name, f"is not JSON: {error}", "not_json")]
    faults = collect_faults(document, Arrival)
    if faults:
        return [msgspec.structs.replace(fault, field=f"{name}: {fault.field or 'request'}") for fault in faults]
    return msgspec.convert(document, Arrival)


def _lognormal(source: random.Random, median: float, sigma: float, least: int, most: int) -> int:
    return min(max(round(median * math.exp(source.gauss(0.0, sigma))), least), most)
