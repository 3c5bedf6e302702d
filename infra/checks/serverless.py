"""A serverless endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment


def check_serverless(deployment: Deployment, field: str) -> Iterator[Fault]:
    limits = load_limits().serverless
    sizes = ", ".join(map(str, limits.memory_mb))
    if deployment.memory_mb is None:
        yield Fault(f"{field}.memory_mb", f"is missing; serverless comes with one of {sizes} MB")
    elif deployment.memory_mb not in limits.memory_mb:
        yield Fault(f"{field}.memory_mb", f"is {deployment.memory_mb}; serverless comes with one of {sizes} MB")
    most = limits.max_concurrency
    if deployment.concurrency is None:
        yield Fault(f"{field}.concurrency", f"is missing; expected 1 to {most} requests at once")
    elif not 1 <= deployment.concurrency <= most:
        yield Fault(f"{field}.concurrency", f"is {deployment.concurrency}; expected 1 to {most} requests at once")
    warm = deployment.provisioned_concurrency
    if warm is not None and not 1 <= warm <= (deployment.concurrency or most):
        yield Fault(
            f"{field}.provisioned_concurrency",
            f"is {warm}; expected 1 to concurrency, which is {deployment.concurrency}, or none",
        )
    yield from _check_engine(deployment, field)


def _check_engine(deployment: Deployment, field: str) -> Iterator[Fault]:
    if deployment.dtype == "fp16":
        yield Fault(f"{field}.dtype", "is fp16, which the x86 CPUs of serverless emulate; expected bf16 or fp32")
    elif deployment.engine == "torch" and deployment.dtype == "int8":
        yield Fault(f"{field}.dtype", "is int8, which engine torch does not run; expected fp32, or engine openvino")
