"""Azure Container Apps on the consumption plan, to compare with: replicas that are always on.

Memory is paid all the time, vCPU at the active rate while a replica computes and at the idle one while it waits.
"""

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

SERVICE: Service = "azure-container-apps"

TIMEOUT_S = 60.0
"""As of a real-time endpoint, so that the two compare."""


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    return None


def size(demand: Demand, workload: Workload) -> Sizes:
    return always_on(demand, workload, TIMEOUT_S)


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    vcpu = Decimal(repr(candidate.host.vcpu))
    seconds = Decimal(sizing.count * MONTH_HOURS * 3600)
    at_work = min(workload.requests_per_month * Decimal(repr(sizing.work)), seconds)
    return [
        usage.AzureContainerApps(
            vcpu_seconds=at_work * vcpu,
            idle_vcpu_seconds=(seconds - at_work) * vcpu,
            gib_seconds=seconds * candidate.host.memory_mb / 1024,
            requests=workload.requests_per_month,
        )
    ]
