"""How many of a workload's documents are longer than what a model reads, and how long the longest are.

Both follow from the mean of cut lengths alone, whatever the distribution: E[min(t, M)] grows with M by P(t > M).
"""

from __future__ import annotations

from cost_model.workload import Workload


def share_longer(workload: Workload, most: float) -> float:
    """P(t > most): the share of the documents that is cut, to within half a token."""
    return workload.length_moments(most + 0.5)[1] - workload.length_moments(most - 0.5)[1]


def length_exceeded_by(workload: Workload, share: float, most: float) -> float:
    """The length that only a `share` of the documents exceeds, at most `most`."""
    if share_longer(workload, most) > share:
        return most
    low, high = 1.0, most
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (middle, high) if share_longer(workload, middle) > share else (low, middle)
    return high
