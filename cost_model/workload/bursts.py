"""Arrivals that come in bursts: a Poisson process whose rate is drawn anew in each window from a gamma distribution.

The requests of a window are then negative binomial, with the mean of a Poisson process and `dispersion` times its
variance, and windows are independent of each other (Cox 1955; Greenwood and Yule 1920). So the index of dispersion
that is measured over windows of one length is the one that is drawn with; over much longer times it stays the same,
over shorter ones it falls towards 1. What bursts within a window do, it doesn't tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

MOST_ARRIVALS = 50_000_000
HOUR_S = 3600


def draw_arrivals(
    rng: np.random.Generator,
    hourly: Sequence[float],
    seconds: float,
    *,
    dispersion: float = 1.0,
    window_s: float = 60.0,
    begin: float = 0.0,
) -> NDArray[np.float64]:
    """Sorted moments in [0, seconds), in seconds from `begin`, itself counted from the week's first hour.

    hourly: (hours,) requests a second in each hour, over and over. Windows lie on multiples of `window_s`, which
    divides an hour. Raises ValueError for more than MOST_ARRIVALS.
    """
    import numpy as np  # noqa: PLC0415  # the commands that only price start without it

    if not 0 <= seconds / window_s <= MOST_ARRIVALS:
        raise ValueError(f"seconds is {seconds}; expected from 0 to {MOST_ARRIVALS * window_s:,.0f}")
    first = int(begin // window_s)
    edges = np.arange(first, int(-(-(begin + seconds) // window_s)) + 1, dtype=np.float64) * window_s
    starts = np.maximum(edges[:-1], begin)
    widths = np.minimum(edges[1:], begin + seconds) - starts
    hours = (edges[:-1] // HOUR_S).astype(np.int64) % len(hourly)
    means = np.asarray(hourly, dtype=float)[hours] * widths
    if means.sum() > MOST_ARRIVALS:
        raise ValueError(f"{means.sum():,.0f} arrivals are more than the {MOST_ARRIVALS:,} that are drawn at once")
    if dispersion > 1:
        means = rng.gamma(means / (dispersion - 1), dispersion - 1)
    counts = rng.poisson(means)
    moments: NDArray[np.float64] = np.repeat(starts - begin, counts) + rng.random(int(counts.sum())) * np.repeat(
        widths, counts
    )
    moments.sort()
    return moments


def scaled(
    rng: np.random.Generator, moments: NDArray[np.float64], factor: float, *, within_s: float, seconds: float
) -> NDArray[np.float64]:
    """The same arrivals at `factor` times the rate, sorted: thinned at random below 1, above 1 joined by others that
    come within `within_s` of them, so that its bursts grow with it."""
    import numpy as np  # noqa: PLC0415

    if factor == 1:
        return moments
    copies = np.floor(factor + rng.random(len(moments))).astype(np.int64)
    repeated = np.repeat(moments, copies)
    added = np.ones(len(repeated), dtype=bool)
    added[(np.cumsum(copies) - copies)[copies > 0]] = False
    repeated[added] += (rng.random(int(added.sum())) - 0.5) * within_s
    # What leaves the stretch at one end is mirrored back into it, or its ends would be thin.
    repeated = np.abs(repeated)
    repeated = np.where(repeated >= seconds, np.maximum(2 * seconds - repeated, 0.0), repeated)
    repeated = np.minimum(repeated, np.nextafter(seconds, 0.0))
    repeated.sort()
    return repeated
