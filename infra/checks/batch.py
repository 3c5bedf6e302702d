"""A batch transform job."""

from __future__ import annotations

from collections.abc import Iterator

from infra.served import is_package
from infra.transform_job import largest_payload_mb
from rerank_toolkit.catalog.instances import UnknownInstance, find_instance
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment

DEFAULT_PAYLOAD_MB = 6
"""SageMaker's, and what the container answers when it is asked."""


def check_batch(deployment: Deployment, field: str) -> Iterator[Fault]:
    if deployment.count < 1:
        yield Fault(f"{field}.count", f"is {deployment.count}; a batch job runs on at least 1 instance")
    yield from _check_payload(deployment, field)
    if not is_package(deployment):
        yield from _check_driver(deployment, field)


def _check_payload(deployment: Deployment, field: str) -> Iterator[Fault]:
    concurrency = deployment.concurrency
    if concurrency is None:
        return
    if concurrency < 1:
        yield Fault(f"{field}.concurrency", f"is {concurrency}; expected at least 1, or nothing to leave it open")
        return
    most, largest = load_limits().batch.payload_mb, deployment.largest_request_mb
    payload = DEFAULT_PAYLOAD_MB if largest is None else largest_payload_mb(largest)
    if payload <= most < concurrency * payload:
        yield Fault(
            f"{field}.concurrency",
            f"is {concurrency}, with payloads of {payload} MB; SageMaker takes at most {most} MB of both multiplied",
        )


def _check_driver(deployment: Deployment, field: str) -> Iterator[Fault]:
    """TransformAmiVersion in SageMaker's service model knows NVIDIA's drivers 470 and 535, CUDA 12.2 at most."""
    try:
        kind = find_instance(deployment.instance or "").kind
    except UnknownInstance:
        return  # a fault of its own
    if kind == "gpu":
        yield Fault(
            f"{field}.instance",
            f"is {deployment.instance}; batch jobs have NVIDIA's driver 535 at most, with which the image's torch, "
            "made for CUDA 13, finds no GPU: take a CPU type, or mode async, which can scale to zero as well",
        )
