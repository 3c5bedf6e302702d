"""Whether two sides compute the same thing: their scores for the same pairs, held against each other."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import msgspec

from rerank_toolkit.bench.errors import NotComparable

BOUNDS: Mapping[str, tuple[float, float]] = {
    "fp32": (0.9999, 0.01),
    "bf16": (0.995, 0.15),
    "fp16": (0.995, 0.15),
    "int8": (0.95, 0.6),
}
"""Least Spearman correlation with the reference's logits, and largest difference from one of them, by precision.

Wide enough for what each precision loses, and far too narrow for another model, tokenizer, pair template or cut.
"""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """One side's logits against the reference's, on the documents of one request."""

    spearman: float
    max_logit_difference: float


def agreement(logits: Sequence[float], reference: Sequence[float]) -> Agreement:
    """Raises ValueError if there are fewer than two, or not equally many."""
    if len(logits) != len(reference):
        raise ValueError(f"{len(logits)} logits against {len(reference)}")
    return Agreement(
        spearman=round(spearman(logits, reference), 6),
        max_logit_difference=round(max(abs(a - b) for a, b in zip(logits, reference, strict=True)), 6),
    )


def require_agreement(agreements: Mapping[str, tuple[str, Agreement]], *, reference: str) -> None:
    """Raises NotComparable naming every side that is out of BOUNDS; `agreements` has each side's precision."""
    faults = []
    for name, (precision, found) in agreements.items():
        least, most = BOUNDS[precision]
        if not (found.spearman >= least and found.max_logit_difference <= most):
            faults.append(
                f"  {name}: Spearman {found.spearman:.4f}, logits up to {found.max_logit_difference:.3f} apart; "
                f"expected at least {least} and at most {most} in {precision}"
            )
    if faults:
        raise NotComparable("\n".join([f"not the same scores as {reference}, so no speeds are reported:", *faults]))


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Rank correlation; equal values share the mean of their ranks. 0 where one side gives all the same score."""
    try:
        return statistics.correlation(_ranks(first), _ranks(second))
    except statistics.StatisticsError:
        return 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for index in order[first : last + 1]:
            ranks[index] = (first + last) / 2
        first = last + 1
    return ranks
