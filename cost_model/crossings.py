"""Where curves that only rise cross: exact to one unit, by intervals instead of by samples.

A curve is a straight line from zero and a part that never falls. On an interval that part lies between what it is at
the ends, so one curve is surely at most another if its part at the end is at most the other's at the start, with what
their lines differ by. Where that doesn't tell, the interval is halved, down to single units: no crossing between two
samples is missed, and no step.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

import msgspec

NEVER = Decimal("Infinity")


class Curve(Protocol):
    """Costs by whole volumes: slope × volume, and what is between `least` and `most`."""

    @property
    def slope(self) -> Decimal: ...

    def least(self, first: int, last: int) -> Decimal:
        """A bound that the part is never below from `first` to `last`; exact where they are equal, NEVER without
        any cost."""

    def most(self, first: int, last: int) -> Decimal:
        """A bound that it is never above; exact where they are equal, NEVER if some volume has no cost."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Volumes, both ends included, at which the same curve is the cheapest."""

    first: int
    last: int
    cheapest: str | None
    """None where no curve has a cost."""


def cheapest_spans(curves: Mapping[str, Curve], first: int, last: int) -> list[Span]:
    """From `first` to `last` without a gap; of equals the one that comes first in `curves`."""
    spans: list[Span] = []
    open_ = [(first, last)]
    while open_:
        low, high = open_.pop()
        found, name = _uniform(curves, low, high)
        if found:
            _append(spans, Span(first=low, last=high, cheapest=name))
            continue
        middle = _middle(low, high)
        open_ += [(middle + 1, high), (low, middle)]
    return spans


def _uniform(curves: Mapping[str, Curve], low: int, high: int) -> tuple[bool, str | None]:
    """Whether one curve is surely the cheapest of the interval, or none has a cost in it, and which."""
    least = {name: curve.least(low, high) for name, curve in curves.items()}
    if all(bound == NEVER for bound in least.values()):
        return True, None
    names = list(curves)
    for at, name in enumerate(names):
        curve = curves[name]
        most = curve.most(low, high)
        if most == NEVER:
            continue
        for place, other in enumerate(names):
            if other == name or least[other] == NEVER:
                continue
            # Of equals the first is taken, so it has to be below those before it and at most at those after it.
            beyond = least[other] - most + min((curves[other].slope - curve.slope) * end for end in (low, high))
            if beyond > 0 or (beyond == 0 and place > at):
                continue
            break
        else:
            return True, name
    return False, None


def _middle(low: int, high: int) -> int:
    """By the logarithm while the ends are far apart: volumes are looked at over many powers of ten."""
    return int((low * high) ** 0.5) if high > 4 * low else (low + high) // 2


def _append(spans: list[Span], span: Span) -> None:
    if spans and spans[-1].cheapest == span.cheapest:
        spans[-1] = msgspec.structs.replace(spans[-1], last=span.last)
    else:
        spans.append(span)
