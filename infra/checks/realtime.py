"""A real-time endpoint on instances."""

from __future__ import annotations

from collections.abc import Iterator

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment


def check_realtime(deployment: Deployment, field: str) -> Iterator[Fault]:
    for name in ("memory_mb", "concurrency"):
        if getattr(deployment, name) is not None:
            yield Fault(
                f"{field}.{name}", f"is {getattr(deployment, name)}; a realtime endpoint has none, leave it out"
            )
    if deployment.count < 1:
        yield Fault(f"{field}.count", f"is {deployment.count}; a realtime endpoint keeps at least 1 instance")
    shortest, longest = load_limits().container.startup_timeout_s
    if not shortest <= deployment.startup_timeout_s <= longest:
        yield Fault(
            f"{field}.startup_timeout_s",
            f"is {deployment.startup_timeout_s}; SageMaker takes {shortest} to {longest} s",
        )
