"""Azure Functions on the consumption plan, to compare with: paid by the gigabyte-second.

Duration counts from 100 ms on and memory in steps of 128 MB, as Azure's pricing notes say; 1.5 GB is such a step.
"""

from __future__ import annotations

from decimal import Decimal

from cost_model.hosts import Service
from cost_model.modes.serverless import by_request
from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.sizing import Demand, Sizes, Sizing
from cost_model.workload import Workload
from rerank_toolkit.contracts import usage

SERVICE: Service = "azure-functions"

MOST = 200
"""Instances of a function app on the consumption plan: recalled."""
SHORTEST_S = Decimal("0.1")


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    return None


def size(demand: Demand, workload: Workload) -> Sizes:
    return by_request(demand, workload, most=MOST)


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    seconds = max(Decimal(repr(sizing.billed)), SHORTEST_S)
    requests = workload.requests_per_month
    return [
        usage.AzureFunctions(
            gb_seconds=requests * seconds * candidate.host.memory_mb / 1024,
            executions=requests,
        )
    ]
