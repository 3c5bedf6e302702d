"""What of each kind of endpoint can be scaled, and by which metrics that AWS publishes of that kind.

Names are those of Application Auto Scaling's API (ScalableDimension, MetricType in its service model) and of the
SageMaker developer guide ("Monitor asynchronous endpoints", "Scale an endpoint to zero instances"). A policy on another
kind's metric is accepted by AWS, and waits for data that never come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rerank_toolkit.contracts.plan import Mode, Scaling, ScheduledBounds


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    predefined: bool = True
    """Known to Application Auto Scaling by this name; else read from the namespace AWS/SageMaker."""
    highest_target: float = math.inf


@dataclass(frozen=True, slots=True)
class Waking:
    """What is published while requests come and there is nothing to answer them with.

    Target tracking divides by the size of the fleet, and can't leave zero by itself.
    """

    metric: str
    statistic: Literal["Maximum", "Sum"]


@dataclass(frozen=True, slots=True)
class Scalable:
    """One kind of endpoint."""

    unit: str
    """What is counted, in the plural."""
    dimension: str
    smallest: int
    metrics: tuple[Metric, ...]
    labelled_by: Literal["EndpointName", "InferenceComponentName"] = "EndpointName"
    """The one dimension of those of its metrics that are not predefined."""
    waking: Waking | None = None

    def metric(self, name: str) -> Metric | None:
        return next((metric for metric in self.metrics if metric.name == name), None)


SCALABLE: Mapping[Mode, Scalable] = {
    "realtime": Scalable(
        unit="instances",
        dimension="sagemaker:variant:DesiredInstanceCount",
        smallest=1,
        metrics=(
            # Invocations a minute and instance; requests in flight, by the ten seconds.
            Metric("SageMakerVariantInvocationsPerInstance"),
            Metric("SageMakerVariantConcurrentRequestsPerModelHighResolution"),
        ),
    ),
    "async": Scalable(
        unit="instances",
        dimension="sagemaker:variant:DesiredInstanceCount",
        smallest=0,
        # Its invocations are not published, its backlog is: of the endpoint, not of a variant.
        metrics=(Metric("ApproximateBacklogSizePerInstance", predefined=False),),
        waking=Waking("HasBacklogWithoutCapacity", "Maximum"),
    ),
    "serverless": Scalable(
        unit="units of provisioned concurrency",
        dimension="sagemaker:variant:DesiredProvisionedConcurrency",
        smallest=1,
        # The share of the units that is in use.
        metrics=(Metric("SageMakerVariantProvisionedConcurrencyUtilization", highest_target=1.0),),
    ),
    "inference-component": Scalable(
        unit="copies",
        dimension="sagemaker:inference-component:DesiredCopyCount",
        smallest=0,
        metrics=(
            Metric("SageMakerInferenceComponentInvocationsPerCopy"),
            Metric("SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"),
        ),
        labelled_by="InferenceComponentName",
        waking=Waking("NoCapacityInvocationFailures", "Sum"),
    ),
}
"""A batch transform job is not among them: it runs on as many instances as it was started with."""


def widest_bounds(scaling: Scaling) -> tuple[int, int]:
    """The fewest and the most that there may be at any time of the week."""
    bounds: list[Scaling | ScheduledBounds] = [scaling, *scaling.schedule]
    return min(one.min_instances for one in bounds), max(one.max_instances for one in bounds)


def sleeps(scaling: Scaling) -> bool:
    """Whether there is a time at which nothing may run."""
    return widest_bounds(scaling)[0] == 0
