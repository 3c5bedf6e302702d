"""How many, or how long: a mean with its spread, quantiles, or a histogram; the moments, and draws."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from cost_model.workload.checks import endless, refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOMENTS = 5
"""E[x⁰] to E[x⁴]: a request's variance under a law with squared tokens needs the fourth."""

PARTS = 4
NODES = ((-math.sqrt(0.6), 5 / 18), (0.0, 8 / 18), (math.sqrt(0.6), 5 / 18))
"""On -1..1; exact for polynomials up to the fifth degree (Gauss–Legendre quadrature)."""

SLICES = 16
"""Equally likely slices of a lognormal, where a sum over its values stands for the integral."""

MOST_ROWS = 10_000

Size = Annotated[float, msgspec.Meta(ge=1, le=1_000_000)]
Weight = Annotated[float, msgspec.Meta(ge=0, le=1e15)]

_PERCENT = re.compile(r"p(\d{1,3}(?:\.\d+)?)")


class Pieces(NamedTuple):
    """Uniform between `low` and `high` with each piece's probability; all are (pieces,)."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    share: NDArray[np.float64]


class Distribution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A quantity of at least 1, in one of three forms.

    A `mean` with `cv`, lognormal, where cv = 0 is a constant; `quantiles`, between which it is uniform; or a
    `histogram`, which holds nothing but its values.
    """

    mean: Size | None = None
    cv: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    """Standard deviation over mean."""
    quantiles: dict[str, Size] | None = None
    """Values by percent, as in {p50 = 20, p95 = 80, p100 = 100}; p0 is 1 where it isn't given."""
    histogram: Annotated[tuple[tuple[Size, Weight], ...], msgspec.Meta(max_length=MOST_ROWS)] | None = None
    """Values, each with how often it was seen."""

    def __post_init__(self) -> None:
        problems = endless(self)
        forms = [name for name in ("mean", "quantiles", "histogram") if getattr(self, name) is not None]
        if len(forms) != 1:
            problems.append(f"has {' and '.join(forms) or 'no form'}; expected one of mean, quantiles, histogram")
        if self.mean is None and self.cv:
            problems.append(f"cv is {self.cv:g}, which only goes with mean")
        if self.quantiles is not None:
            problems += _quantile_problems(self.quantiles)
        if self.histogram is not None and not sum(weight for _, weight in self.histogram) > 0:
            problems.append("histogram has no row that was ever seen; expected [[value, count], …]")
        refuse(problems)

    @property
    def average(self) -> float:
        return self.mean if self.mean is not None else self.moments()[1]

    @property
    def variation(self) -> float:
        """Standard deviation over mean."""
        if self.mean is not None:
            return self.cv
        _, first, second, *_ = self.moments()
        return math.sqrt(max(second - first * first, 0.0)) / first

    def moments(self, most: float = math.inf, *, shift: float = 0.0) -> list[float]:
        """E[min(x + shift, most)^k] for k from 0 to 4; exact for each form."""
        return self.mixed_moments([(shift, 1.0)], most)

    def mixed_moments(self, shifts: Sequence[tuple[float, float]], most: float = math.inf) -> list[float]:
        """The same where the shift is random, of these values with their probabilities."""
        if self.mean is None:
            return _piecewise_moments(self.pieces(), shifts, most)
        each = [(share, _shifted(self.mean, self.cv, most, shift)) for shift, share in shifts]
        return [sum(share * moments[k] for share, moments in each) for k in range(MOMENTS)]

    def pieces(self) -> Pieces:
        """Of quantiles or a histogram."""
        import numpy as np  # noqa: PLC0415  # the commands that only price start without it

        if self.histogram is not None:
            rows = np.array(self.histogram, dtype=float)
            return Pieces(rows[:, 0], rows[:, 0], rows[:, 1] / rows[:, 1].sum())
        knots = _knots(self.quantiles or {})
        percents, values = (np.array(column) for column in zip(*knots, strict=True))
        return Pieces(values[:-1], values[1:], np.diff(percents) / 100)

    def points(self) -> list[tuple[float, float]]:
        """Values with their probabilities that have its mean, for sums in place of integrals.

        Of what is even within pieces also its next three moments: three nodes of Gauss and Legendre for each part.
        """
        if self.mean is not None:
            if not self.cv:
                return [(self.mean, 1.0)]
            return [(value, 1 / SLICES) for value in lognormal_slices(self.mean, self.cv, SLICES)]
        points: list[tuple[float, float]] = []
        pieces = self.pieces()
        for low, high, share in zip(pieces.low.tolist(), pieces.high.tolist(), pieces.share.tolist(), strict=True):
            if low == high:
                points.append((low, share))
                continue
            half = (high - low) / (2 * PARTS)
            for part in range(PARTS):
                middle = low + half * (2 * part + 1)
                points += [(middle + half * node, share * weight / PARTS) for node, weight in NODES]
        return points

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        """(count,) independent values, not rounded."""
        import numpy as np  # noqa: PLC0415

        if self.mean is not None:
            return draw_lognormal(rng, self.mean, self.cv, count)
        pieces = self.pieces()
        ends = np.cumsum(pieces.share)
        at = np.searchsorted(ends, rng.random(count) * ends[-1], side="right")
        return np.asarray(pieces.low[at] + (pieces.high - pieces.low)[at] * rng.random(count))


def lognormal_moments(mean: float, cv: float, most: float = math.inf) -> list[float]:
    """E[min(t, M)^k] for k from 0 to 4: of lognormal lengths t, cut at M = `most`.

    With σ² = ln(1 + cv²) and μ = ln(mean) - σ²/2, and Φ the normal distribution function,
    exp(kμ + k²σ²/2) Φ((ln M - μ)/σ - kσ) + M^k (1 - Φ((ln M - μ)/σ)).
    """
    return list(_lognormal_moments(mean, cv, most))


@lru_cache(maxsize=256)  # asked for again by every host that a model is compared on
def _lognormal_moments(mean: float, cv: float, most: float) -> tuple[float, ...]:
    sigma = math.sqrt(math.log1p(cv * cv))
    if sigma == 0:
        return tuple(min(mean, most) ** k for k in range(MOMENTS))
    mu = math.log(mean) - sigma * sigma / 2
    whole = [math.exp(k * mu + (k * sigma) ** 2 / 2) for k in range(MOMENTS)]
    if math.isinf(most):
        return tuple(whole)
    cut = (math.log(most) - mu) / sigma
    below = NormalDist().cdf
    return tuple(whole[k] * below(cut - k * sigma) + most**k * below(-cut) for k in range(MOMENTS))


def lognormal_slices(mean: float, cv: float, slices: int) -> list[float]:
    """The middles of so many equally likely slices of lognormal values, the least first, scaled to have their mean."""
    sigma = math.sqrt(math.log1p(cv * cv))
    if not sigma:
        return [mean] * slices
    normal = NormalDist(0, sigma)
    values = [math.exp(normal.inv_cdf((at + 0.5) / slices)) for at in range(slices)]
    scale = mean * slices / sum(values)
    return [value * scale for value in values]


def draw_lognormal(rng: np.random.Generator, mean: float, cv: float, count: int) -> NDArray[np.float64]:
    """(count,) lognormal values of that mean and coefficient of variation."""
    sigma = math.sqrt(math.log1p(cv * cv))
    return rng.lognormal(math.log(mean) - sigma * sigma / 2, sigma, count)


def whole_numbers(rng: np.random.Generator, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each value as one of its two neighbours, at random so that the mean stays, and at least 1."""
    import numpy as np  # noqa: PLC0415

    return np.maximum(np.floor(values + rng.random(len(values))), 1).astype(np.int64)


def _shifted(mean: float, cv: float, most: float, shift: float) -> list[float]:
    """Of a lognormal plus a constant, by the binomial theorem."""
    if not shift:
        return lognormal_moments(mean, cv, most)
    if shift >= most:
        return [most**k for k in range(MOMENTS)]
    raw = lognormal_moments(mean, cv, most - shift)
    return [sum(math.comb(k, j) * shift ** (k - j) * raw[j] for j in range(k + 1)) for k in range(MOMENTS)]


def _piecewise_moments(pieces: Pieces, shifts: Sequence[tuple[float, float]], most: float) -> list[float]:
    """The mean of x^k over a..b is Σ a^j b^(k-j) / (k + 1), which doesn't cancel where the piece is narrow."""
    import numpy as np  # noqa: PLC0415

    values, shares = np.array(shifts).T
    probability = np.outer(shares, pieces.share)  # (shifts, pieces), as all of these
    low = np.minimum(values[:, None] + pieces.low, most)
    high = np.minimum(values[:, None] + pieces.high, most)
    width = np.broadcast_to(pieces.high - pieces.low, low.shape)
    # Of a piece without width all is below the cut or all at it, and either way its value is `low`.
    below = np.divide(high - low, width, out=np.ones_like(low), where=width > 0)
    moments = []
    for k in range(MOMENTS):
        mean = sum((low**j * high ** (k - j) for j in range(k + 1)), np.zeros_like(low)) / (k + 1)
        moments.append(float((probability * (below * mean + (1 - below) * high**k)).sum()))
    return moments


def _knots(quantiles: dict[str, float]) -> list[tuple[float, float]]:
    given = sorted((float(name[1:]), value) for name, value in quantiles.items())
    return given if given[0][0] == 0 else [(0.0, 1.0), *given]


def _quantile_problems(quantiles: dict[str, float]) -> list[str]:
    strange = [name for name in quantiles if not _PERCENT.fullmatch(name) or float(name[1:]) > 100]
    if strange:
        return [f"quantiles has {', '.join(map(repr, strange))}; expected names from p0 to p100, such as p50 or p99.9"]
    if not any(float(name[1:]) == 100 for name in quantiles):
        return ["quantiles lacks p100, the most that there is"]
    return _falling(_knots(quantiles))


def _falling(knots: Sequence[tuple[float, float]]) -> list[str]:
    return [
        f"quantiles falls from {value:g} at p{percent:g} to {later_value:g} at p{later:g}"
        for (percent, value), (later, later_value) in pairwise(knots)
        if later_value < value
    ] + [f"quantiles has p{percent:g} twice" for (percent, _), (later, _) in pairwise(knots) if percent == later]
