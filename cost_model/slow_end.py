"""Options at the slow end of their speed's interval: as many as are needed there, and how fast they answer then.

A speed that was carried to another machine is known between two bounds (`Scaled.ratio_low`, `ratio_high`). What is
short of instances at the slow end is mended with money; what a request takes alone isn't.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from cost_model.modes import Mode, load_mode
from cost_model.options import Candidate
from cost_model.sizing import Demand, Sizing, size_rows

if TYPE_CHECKING:
    from cost_model.compare import Option


def at_slow_end(candidate: Candidate) -> Candidate:
    """The candidate if it is as slow as it may be."""
    scaled = candidate.scaled
    slower = scaled.ratio_high / scaled.ratio
    slow = msgspec.structs.replace(
        scaled,
        ratio=scaled.ratio_high,
        alone_s=scaled.alone_s * slower,
        deviation_s=scaled.deviation_s * slower,
        saturated_s=scaled.saturated_s * slower,
    )
    return msgspec.structs.replace(candidate, scaled=slow)


def slow_sizings(options: Sequence[Option]) -> list[Sizing | None]:
    """What each option needs if it is as slow as it may be; None where nothing is enough.

    Of the response times p95 and the limited percentile, by closed forms. All options answer one workload.
    """
    found: list[Sizing | None] = [None] * len(options)
    by_mode: dict[Mode, list[int]] = {}
    for at, option in enumerate(options):
        by_mode.setdefault(option.mode, []).append(at)
    for mode, places in by_mode.items():
        workload = options[places[0]].workload
        demand = Demand.of([at_slow_end(options[at].candidate) for at in places])
        sizes = load_mode(mode).size(demand, workload)
        for at, sizing in zip(places, size_rows(sizes, demand, workload, only_limits=True), strict=True):
            found[at] = sizing
    return found
