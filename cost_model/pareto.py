"""Which of many options no other beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pareto_front(figures: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For each row (n, 3) of figures that are better the smaller, whether no other is at most as large in all and
    smaller in one.

    Rows are taken in order of the first two figures; with few distinct values of the third, such as the qualities of
    models, it is enough to remember for each of them the smallest second figure so far.
    """
    front = np.ones(len(figures), dtype=bool)
    order = np.lexsort((figures[:, 2], figures[:, 1], figures[:, 0]))
    levels, level_of = np.unique(figures[:, 2], return_inverse=True)
    best = np.full(len(levels), np.inf)  # smallest second figure of the rows before, by their third
    first: dict[tuple[float, ...], int] = {}  # the row that stands for all equal to it
    for at in order.tolist():
        row = tuple(figures[at].tolist())
        if row in first:
            front[at] = front[first[row]]
            continue
        first[row] = at
        level = int(level_of[at])
        front[at] = best[: level + 1].min() > figures[at, 1]
        best[level] = min(best[level], figures[at, 1])
    return front
