"""What a simulation keeps of each request, document, engine and instance: rows of structured arrays.

A class names the fields of a row; `table` makes the rows. The compiled kernel reads `rows[i].field` as memory.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import numpy as np

NOBODY = -1
"""An index of no row: the end of a list, a heap without a root."""

Row = TypeVar("Row")


class Turn:
    """A node of a heap that is made of the rows themselves: least key first, and of equal keys the least turn."""

    key: float
    turn: int
    left: int
    right: int


class Request(Turn):
    """Its key is a virtual time: the weighted work done for it, on top of where the others stood when it came."""

    arrival: float
    deadline: float
    first: int
    """Its first document; its documents are adjacent, the longest first."""
    count: int
    next: int
    """Of its documents, the first that was in no batch yet."""
    missing: int
    """Documents without a score."""
    tokens_left: int
    """Of documents that were in no batch yet."""
    work: float
    remaining: float
    """Work of documents that were in no batch yet."""
    bulk: float
    """Work after which what it gets counts for more."""
    before: int
    after: int
    """Its neighbours among those that wait on its instance, from the least remaining work to the most."""
    instance: int
    computing: int
    """Batches in compute that hold documents of it."""
    last_batch: int
    last_ended: int
    """The latest batch that took documents of it, and the latest of those that ended."""
    begun: float
    inference: float
    """Seconds in which a batch with documents of it was computed."""
    answered: float
    outcome: int


class Document:
    tokens: int
    work: float
    work_after: float
    """Of it and of those after it in its request."""
    request: int
    together: int
    """The next document of its batch, which is as long or longer."""
    batch: int


class Engine(Turn):
    """Its key is when its batch ends."""

    busy: int
    documents: int
    """The first of its batch, which is the shortest."""
    passes: int
    tokens: int
    squares: int
    """What it computes of its batch."""
    work: float
    seconds: float
    number: int
    """Of its batch."""
    total: float
    """Seconds computed until the last arrival."""


class Instance:
    """The state of one scheduler."""

    batches: float
    work: float
    work_squared: float
    seconds: float
    work_seconds: float
    """Of recent batches, decayed sums: what its pace is estimated from."""
    measured_at: float
    """NaN before anything was."""
    virtual_time: float
    turns: int
    turn_root: int
    waiting: int
    first_waiting: int
    last_waiting: int
    earliest: float
    """No deadline of those that wait is before it."""
    queued_tokens: int
    computing: int
    computing_work: float
    outstanding: int
    """Requests that were sent to it and not answered yet."""


class Batch:
    """What is kept of a batch, if asked."""

    engine: int
    start: float
    end: float
    documents: int
    tokens: int
    """Of its documents."""
    passes: int
    computed_tokens: int
    squared_tokens: int
    """As the engine computes them, padding among them."""


class Settings:
    """The policy's, and how the endpoint routes."""

    engines: int
    token_budget: float
    max_queued_tokens: float
    time_limit: float
    margin: float
    initial_pace: float
    """Seconds per work, known beforehand; 0 if unknown."""
    is_random: int
    rate_memory: float
    outlier: float
    doubt_at_start: float
    doubt_after: float
    bulk_tokens: float
    bulk_weight: float
    smallest_share: float
    is_padded: int
    step: int
    pass_cost: int
    tokens_at_once: int
    """How the engine pads."""


def table(fields: type[Row], rows: int) -> Sequence[Row]:
    """So many rows, all zero: a structured array whose fields are 8 bytes each."""
    names: dict[str, str] = {}
    for base in reversed(fields.__mro__):
        names |= inspect.get_annotations(base)
    kinds: dict[str, Any] = {"int": np.int64, "float": np.float64}
    array = np.zeros(rows, dtype=[(name, kinds[kind]) for name, kind in names.items()])
    return cast(Sequence[Row], array.view(np.recarray))


def column(rows: Sequence[Any], name: str) -> Any:
    """One field of all rows, as an array that shares their memory."""
    return cast(Any, rows)[name]
