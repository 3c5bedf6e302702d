"""What is asked of a deployment: how often, how much, and how good and fast it must be."""

from cost_model.workload.arrivals import Arrivals
from cost_model.workload.distribution import Distribution
from cost_model.workload.reading import DEFAULT, Reading, read_workload, read_workload_measured
from cost_model.workload.requests import Requests
from cost_model.workload.terms import Growth, QualityMetric, Slo
from cost_model.workload.tokens import Tokens
from cost_model.workload.workload import Workload

__all__ = [
    "DEFAULT",
    "Arrivals",
    "Distribution",
    "Growth",
    "QualityMetric",
    "Reading",
    "Requests",
    "Slo",
    "Tokens",
    "Workload",
    "read_workload",
    "read_workload_measured",
]
