"""Whose turn it is: a heap that is made of the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence

from cost_model.simulate.compiling import compiled
from cost_model.simulate.records import NOBODY, Instance, Request, Turn


@compiled
def take_turn(requests: Sequence[Request], instance: Instance, number: int) -> None:
    """Scheduler._take_turn."""
    instance.turns += 1
    requests[number].turn = instance.turns
    requests[number].left = requests[number].right = NOBODY
    instance.turn_root = merged(requests, instance.turn_root, number)


@compiled
def is_bulk(request: Request) -> bool:
    """Entry.is_bulk."""
    return request.work - request.remaining > request.bulk


@compiled
def merged(rows: Sequence[Turn], one: int, other: int) -> int:
    """The root of two skew heaps made one. (Sleator, Tarjan: Self-adjusting heaps, 1986.)"""
    if min(one, other) == NOBODY:
        return max(one, other)
    if is_before(rows[other], rows[one]):
        one, other = other, one
    root = one
    while True:
        right = rows[one].right
        rows[one].right = rows[one].left
        if right == NOBODY:
            rows[one].left = other
            return root
        if is_before(rows[other], rows[right]):
            right, other = other, right
        rows[one].left = right
        one = right


@compiled
def is_before(one: Turn, other: Turn) -> bool:
    return one.key < other.key or (one.key == other.key and one.turn < other.turn)
