"""An asynchronous endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from rerank_toolkit.catalog.instances import UnknownInstance, find_instance
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment

MOST_CONCURRENT = 1000
"""Requests that an instance is given at once (MaxConcurrentInvocationsPerInstance in SageMaker's service model)."""

MIB_PER_MEGABYTE = 1 / 1.048576


def check_async(deployment: Deployment, field: str) -> Iterator[Fault]:
    if deployment.count < 1:
        yield Fault(
            f"{field}.count",
            f"is {deployment.count}; an async endpoint starts with at least 1 instance, and scaling brings it to 0",
        )
    concurrency = deployment.concurrency
    if concurrency is not None and not 1 <= concurrency <= MOST_CONCURRENT:
        yield Fault(
            f"{field}.concurrency",
            f"is {concurrency}; SageMaker gives an instance 1 to {MOST_CONCURRENT:,} requests at once",
        )
    yield from _check_bodies(deployment, field)


def _check_bodies(deployment: Deployment, field: str) -> Iterator[Fault]:
    """Whether memory holds the model and the bodies that may be there at once, before anything is made of them."""
    largest, model_mib = deployment.largest_request_mb, deployment.expected.memory_mib
    if largest is None or model_mib is None:
        return
    try:
        instance = find_instance(deployment.instance or "")
    except UnknownInstance:
        return  # a fault of its own
    at_once = deployment.concurrency or 1
    needed = model_mib + at_once * largest * MIB_PER_MEGABYTE
    if model_mib <= instance.memory_mib < needed:
        yield Fault(
            f"{field}.largest_request_mb",
            f"is {largest:g}; {at_once} at once and the server need {needed:,.0f} MiB before anything is computed, and "
            f"{instance.instance} has {instance.memory_mib:,}: take a larger type or less concurrency",
        )
