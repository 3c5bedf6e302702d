"""Which of a workload's limits an option keeps, and whether it may be chosen at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cost_model.modes import OFFLINE, SAGEMAKER
from cost_model.workload import Workload

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
