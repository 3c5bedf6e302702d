"""Google Cloud Run with request-based billing, to compare with: vCPU and memory are paid while a request is served.

One request a container, as on serverless inference; time counts in steps of 100 ms.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from cost_model.hosts import Service
from cost_model.modes.serverless import by_request
from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.sizing import Demand, Sizes, Sizing
from cost_model.workload import Workload
from rerank_toolkit.contracts import usage

SERVICE: Service = "cloud-run"

MOST = 100
"""Instances of a service that has not asked for more: recalled."""
STEP_S = Decimal("0.1")


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    return None


def size(demand: Demand, workload: Workload) -> Sizes:
    return by_request(demand, workload, most=MOST)


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    steps = (Decimal(repr(sizing.billed)) / STEP_S).to_integral_value(ROUND_CEILING)
    seconds = workload.requests_per_month * steps * STEP_S
    return [
        usage.CloudRun(
            vcpu_seconds=seconds * Decimal(repr(candidate.host.vcpu)),
            gib_seconds=seconds * candidate.host.memory_mb / 1024,
            requests=workload.requests_per_month,
        )
    ]
