"""AWS Fargate, to compare with: tasks that are always on. The load balancer before them is not in the bill."""

from __future__ import annotations

from decimal import Decimal

from cost_model.components import MONTH_HOURS
from cost_model.hosts import Service
from cost_model.modes.realtime import always_on
from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.sizing import Demand, Sizes, Sizing
from cost_model.workload import Workload
from rerank_toolkit.contracts import usage

SERVICE: Service = "fargate"

TIMEOUT_S = 60.0
"""As of a real-time endpoint, so that the two compare."""


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    return None


def size(demand: Demand, workload: Workload) -> Sizes:
    return always_on(demand, workload, TIMEOUT_S)


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    return [
        usage.Fargate(
            architecture=candidate.host.architecture,
            vcpu=Decimal(repr(candidate.host.vcpu)),
            memory_gb=Decimal(candidate.host.memory_mb) / 1024,
            tasks=Decimal(sizing.count),
            hours=Decimal(MONTH_HOURS),
        )
    ]
