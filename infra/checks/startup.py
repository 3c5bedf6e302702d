"""The time that a container has to come up."""

from __future__ import annotations

from collections.abc import Iterator

from infra.served import Served
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment


def check_startup(deployment: Deployment, served: Served, field: str) -> Iterator[Fault]:
    """A batch job knows no such limit but SageMaker's own."""
    limits, start_s = load_limits(), served.expected.start_s
    if deployment.mode == "serverless":
        most = limits.serverless.container_start_s
        if start_s is not None and start_s > most:
            yield Fault(
                f"{field}.expected.start_s",
                f"is {start_s:g}; serverless gives a container {most} s, download included: take a smaller model, or "
                "a mode on instances",
            )
        return
    if deployment.mode == "batch":
        return
    shortest, longest = limits.container.startup_timeout_s
    if not shortest <= served.startup_timeout_s <= longest:
        yield Fault(
            f"{field}.startup_timeout_s", f"is {served.startup_timeout_s}; SageMaker takes {shortest} to {longest} s"
        )
    elif start_s is not None and start_s > served.startup_timeout_s:
        yield Fault(
            f"{field}.startup_timeout_s",
            f"is {served.startup_timeout_s}, but the container is expected to take {start_s:g} s to its first answer",
        )
