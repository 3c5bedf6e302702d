"""ALiBi: attention that falls off with distance, at a slope of its own for each head."""

from __future__ import annotations

import math


def slopes(heads: int) -> list[float]:
    """Slope of each head: what each token of distance takes from a scaled attention score.

    For a power of two a geometric sequence from 2^(-8/heads) to 2^-8. Otherwise that of the next lower power,
    then every second one of twice that power. Press et al. (arXiv:2108.12409).
    """
    power = 2 ** int(math.log2(heads))
    own = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
    return own if power == heads else own + slopes(2 * power)[::2][: heads - power]
