"""Whether a model has room where it is to run."""

from __future__ import annotations

from collections.abc import Iterator

from infra.served import Served
from rerank_toolkit.catalog.instances import UnknownInstance, find_instance
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment


def check_memory(deployment: Deployment, served: Served, field: str) -> Iterator[Fault]:
    """Nothing, where the need or the room is unknown. An inference component's own memory is checked with it."""
    need = served.expected.memory_mib
    if need is None:
        return
    if deployment.mode == "serverless":
        if deployment.memory_mb is not None and need > deployment.memory_mb:
            yield Fault(
                f"{field}.memory_mb",
                f"is {deployment.memory_mb}, but the server needs {need:,.0f} MiB; take the next size, or a mode on "
                "instances where none is large enough",
            )
        return
    try:
        room = find_instance(served.instance or "").memory_mib
    except UnknownInstance:
        return  # a fault of its own
    copies = deployment.copies_per_instance if deployment.mode == "inference-component" else 1
    if need * copies > room:
        of = f"{copies} copies need" if copies > 1 else "the server needs"
        yield Fault(f"{field}.instance", f"is {served.instance} with {room:,} MiB, but {of} {need * copies:,.0f} MiB")
