"""Axes: where they begin and end, where their ticks stand, and where labels go so that none hides another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

LINE = 14.0
"""Height of a line of labels, in pixels."""

Domain = tuple[float, float]


def log_domain(values: Sequence[float], *, padding: float = 1.15) -> Domain:
    """A little more than all of these positive values."""
    return min(values) / padding, max(values) * padding


def linear_domain(values: Sequence[float], *, padding: float = 0.08) -> Domain:
    low, high = min(values), max(values)
    margin = (high - low or abs(high) or 1.0) * padding
    return low - margin, high + margin


def log_ticks(domain: Domain, *, most: int = 9) -> list[float]:
    """1, 2 and 5 of each power of ten in the domain; where those are too many, 1 alone or every so many powers."""
    low, high = domain
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def log_axis(title: str, domain: Domain, *, format: str, most: int = 9) -> tuple[alt.Axis, alt.Scale]:
    return (
        alt.Axis(title=title, values=log_ticks(domain, most=most), format=format),
        alt.Scale(type="log", domain=list(domain), nice=False),
    )


def linear_axis(title: str, domain: Domain, *, format: str = "g") -> tuple[alt.Axis, alt.Scale]:
    return (
        alt.Axis(title=title, tickCount=6, format=format),
        alt.Scale(domain=list(domain), nice=False, zero=False),
    )


def spread(places: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """The places moved apart to at least that distance, in their order, as little as need be, from low to high.

    Neighbours that are too close form a block around their mean; blocks that then touch are joined.
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    blocks: list[list[int]] = []
    for at in order:
        blocks.append([at])
        while len(blocks) > 1 and _top(blocks[-1], places, least, low, high) < (
            _top(blocks[-2], places, least, low, high) + len(blocks[-2]) * least
        ):
            last = blocks.pop()
            blocks[-1] += last
    moved = list(places)
    for block in blocks:
        top = _top(block, places, least, low, high)
        for step, at in enumerate(block):
            moved[at] = top + step * least
    return moved


def _top(block: Sequence[int], places: Sequence[float], least: float, low: float, high: float) -> float:
    """Where the block's first member stands, so that its middle is the members' mean and none leaves the range."""
    span = (len(block) - 1) * least
    mean = sum(places[at] for at in block) / len(block)
    return min(max(mean - span / 2, low), high - span)
