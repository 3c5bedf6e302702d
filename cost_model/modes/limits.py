"""What AWS takes of a request, as a reason to leave an option out."""

from __future__ import annotations

from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.sizing import Sizing
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import RequestLimits


def too_much(candidate: Candidate, workload: Workload, limits: RequestLimits, name: str) -> Unknown | None:
    """Why a request of the workload is too large or takes too long even alone, if so."""
    if workload.largest_request_bytes > limits.payload_bytes:
        return Unknown(f"the largest requests are larger than the {limits.payload_mb} MB that {name} takes")
    seconds = candidate.scaled.alone_s
    if seconds > limits.timeout_s:
        return Unknown(
            f"a request would take {seconds:.0f} s; {name} ends one after {limits.timeout_s} s",
            "a request would take longer than the endpoint's time limit",
        )
    return None


def ended(sizing: Sizing, limits: RequestLimits, name: str) -> Unknown | None:
    """Why requests would run into the time limit with others on the machine, if so."""
    if sizing.p95 <= limits.timeout_s:
        return None
    return Unknown(
        f"its p95 is {sizing.p95:.0f} s; {name} ends a request after {limits.timeout_s} s",
        "its p95 is beyond the endpoint's time limit",
    )
