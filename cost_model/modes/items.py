"""Items of a usage file that several modes use."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

from cost_model.components import MONTH_HOURS
from cost_model.options import Candidate
from cost_model.sizing import Sizing
from cost_model.workload import Workload
from rerank_toolkit.contracts import usage

GB = 1_000_000_000

Endpoint = TypeVar("Endpoint", bound=usage.Realtime)


def instances(kind: type[Endpoint], candidate: Candidate, sizing: Sizing, workload: Workload) -> Endpoint:
    """The hours of an endpoint's instances and, over the same hours, their volumes."""
    steady = sizing.hours == sizing.count * MONTH_HOURS
    paid = hours(sizing)
    return kind(
        instance=candidate.host.label,
        instances=sizing.count if steady else 1,
        hours=Decimal(MONTH_HOURS) if steady else paid,
        storage_gb_month=paid / MONTH_HOURS * Decimal(str(workload.storage_gb_per_instance)),
        software_usd_per_hour=workload.software_usd_per_hour,
    )


def hours(sizing: Sizing) -> Decimal:
    """To the microhour, of all instances together."""
    return Decimal(repr(round(sizing.hours, 6)))


def data(workload: Workload) -> usage.Data:
    """What goes in and out of an endpoint."""
    return _data(workload.requests_per_month, workload.request_bytes, workload.response_bytes)


@lru_cache(maxsize=64)
def _data(requests: Decimal, request_bytes: float, response_bytes: float) -> usage.Data:
    return usage.Data(
        gb_in=requests * Decimal(str(request_bytes)) / GB, gb_out=requests * Decimal(str(response_bytes)) / GB
    )
