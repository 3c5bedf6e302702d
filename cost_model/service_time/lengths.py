"""Lognormal lengths of documents, cut where the model stops to read."""

from __future__ import annotations

import math
from statistics import NormalDist

from cost_model.workload.distribution import lognormal_moments


def length_moments(mean: float, cv: float, most: float) -> list[float]:
    """E[min(t, M)^k] for k from 0 to 4: of lognormal lengths t, cut at M = `most` tokens."""
    return lognormal_moments(mean, cv, most)


def share_longer(mean: float, cv: float, most: float) -> float:
    """P(t > M): the share of such lengths that is cut."""
    sigma = math.sqrt(math.log1p(cv * cv))
    if sigma == 0:
        return float(mean > most)
    return NormalDist(math.log(mean) - sigma * sigma / 2, sigma).cdf(
        2 * math.log(mean) - sigma * sigma - math.log(most)
    )


def length_exceeded_by(mean: float, cv: float, share: float) -> float:
    """The length that only a `share` of them exceeds."""
    sigma = math.sqrt(math.log1p(cv * cv))
    if sigma == 0:
        return mean
    return math.exp(NormalDist(math.log(mean) - sigma * sigma / 2, sigma).inv_cdf(1 - share))
