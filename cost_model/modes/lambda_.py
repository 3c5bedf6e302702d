"""AWS Lambda, to compare with: paid by the millisecond and the gigabyte, as serverless inference is."""

from __future__ import annotations

from decimal import Decimal

from cost_model.hosts import Service
from cost_model.modes.serverless import by_request
from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.sizing import Demand, Sizes, Sizing
from cost_model.workload import Workload
from rerank_toolkit.contracts import usage

SERVICE: Service = "lambda"

MOST = 1000
"""Concurrent executions of an account that has not asked for more."""
PAYLOAD_MB = 6
TIMEOUT_S = 900


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    if workload.largest_request_bytes > PAYLOAD_MB * 1_000_000:
        return Unknown(f"the largest requests are larger than the {PAYLOAD_MB} MB that Lambda takes")
    if candidate.scaled.alone_s > TIMEOUT_S:
        return Unknown(f"a request would take longer than the {TIMEOUT_S} s after which Lambda ends one")
    return None


def size(demand: Demand, workload: Workload) -> Sizes:
    return by_request(demand, workload, most=MOST)


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    return [
        usage.Lambda(
            architecture=candidate.host.architecture,
            memory_mb=candidate.host.memory_mb,
            requests=workload.requests_per_month,
            seconds_per_request=Decimal(repr(sizing.billed)),
        )
    ]
