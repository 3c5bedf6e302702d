"""What scales an endpoint, between which bounds."""

from __future__ import annotations

from collections.abc import Iterator

from infra.scaling import METRICS
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Scaling


def check_scaling(scaling: Scaling, count: int, field: str) -> Iterator[Fault]:
    low, high = scaling.min_instances, scaling.max_instances
    if low < 1:
        yield Fault(f"{field}.min_instances", f"is {low}; a realtime endpoint keeps at least 1 instance")
    if low > high:
        yield Fault(f"{field}.min_instances", f"is {low}, above max_instances, which is {high}")
    elif not low <= count <= high:
        yield Fault(field, f"ranges from {low} to {high} instances, but count starts with {count}")
    if scaling.metric not in METRICS:
        yield Fault(f"{field}.metric", f"is {scaling.metric!r}; a realtime endpoint publishes {', '.join(METRICS)}")
    if scaling.target <= 0:
        yield Fault(f"{field}.target", f"is {scaling.target:g}; expected more than 0")
    for name in ("scale_in_cooldown_s", "scale_out_cooldown_s"):
        if getattr(scaling, name) < 0:
            yield Fault(f"{field}.{name}", f"is {getattr(scaling, name)}; expected 0 or more seconds")
