"""How well rankings do where each question has one right passage."""

from __future__ import annotations

from collections.abc import Sequence


def rank_of(right: str, ranking: Sequence[str]) -> int | None:
    """1 for the first place; None where the right passage isn't in the ranking."""
    return ranking.index(right) + 1 if right in ranking else None


def hit_rate(ranks: Sequence[int | None], k: int) -> float:
    """hit@k: the share of questions whose right passage is among the first k. `ranks` must not be empty."""
    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks)


def mean_reciprocal_rank(ranks: Sequence[int | None]) -> float:
    """MRR: the mean of 1/rank, 0 where the right passage is missing (Voorhees, TREC-8, 1999).

    `ranks` must not be empty.
    """
    return sum(1 / rank for rank in ranks if rank is not None) / len(ranks)
