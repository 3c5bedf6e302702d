"""The largest request that is expected."""

from __future__ import annotations

from collections.abc import Iterator

from infra.settings import request_limits
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment


def check_request(deployment: Deployment, field: str) -> Iterator[Fault]:
    largest, most = deployment.largest_request_mb, request_limits(deployment.mode).payload_mb
    if largest is None:
        return
    if largest <= 0:
        yield Fault(f"{field}.largest_request_mb", f"is {largest:g}; expected more than 0")
    if largest > most:
        yield Fault(
            f"{field}.largest_request_mb",
            f"is {largest:g} MB; SageMaker takes {most} MB in mode {deployment.mode}: send fewer documents at once, "
            "or take a mode with more room",
        )
