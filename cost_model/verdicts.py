"""Which of a workload's limits an option keeps, and whether it may be chosen at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cost_model.modes import OFFLINE, SAGEMAKER, Mode
from cost_model.modes.limits import ended
from cost_model.prices.book import Unknown
from cost_model.sizing import Sizing
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import load_limits

if TYPE_CHECKING:
    from cost_model.compare import Option


def meets(option: Option, workload: Workload) -> bool:
    """Whether the option keeps all limits of the workload."""
    return is_fast(option, workload) and is_good(option, workload) and is_affordable(option, workload)


def is_fast(option: Option, workload: Workload) -> bool:
    return workload.slo_ms is None or option.limited_ms <= workload.slo_ms


def is_good(option: Option, workload: Workload) -> bool:
    """An unknown quality meets no floor."""
    return workload.min_quality is None or (option.quality is not None and option.quality >= workload.min_quality)


def is_affordable(option: Option, workload: Workload) -> bool:
    return workload.max_monthly_cost is None or option.monthly_cost <= workload.max_monthly_cost


def may_be_chosen(option: Option, workload: Workload) -> bool:
    """Whether it is one to deploy for this workload, whatever it costs: see `modes`, and `Candidate.opted_in`."""
    deployed = option.mode in SAGEMAKER and (option.mode not in OFFLINE or workload.slo_ms is not None)
    return deployed and option.candidate.opted_in


def keeps_time(mode: Mode, sizing: Sizing, workload: Workload) -> bool:
    """Whether the size carries the load within the workload's limit and the endpoint's own."""
    in_time = workload.slo_ms is None or round(sizing.limited * 1000, 2) <= workload.slo_ms
    return in_time and too_much(mode, sizing) is None


def too_much(mode: Mode, sizing: Sizing | None) -> Unknown | None:
    """Why the endpoint can't carry the load, if so."""
    limits = load_limits()
    if sizing is None:
        most = limits.serverless.max_concurrency
        if mode in ("serverless", "provisioned"):
            return Unknown(f"would need more than the {most} concurrent requests that a serverless endpoint takes")
        return Unknown("would need more containers at once than an account gets")
    if mode == "autoscaled" and sizing.least == sizing.count:
        return Unknown("needs as many instances in every hour: a fixed count does the same")
    timed = {
        "realtime": limits.realtime,
        "autoscaled": limits.realtime,
        "serverless": limits.serverless,
        "provisioned": limits.serverless,
    }
    return ended(sizing, timed[mode], mode) if mode in timed else None
