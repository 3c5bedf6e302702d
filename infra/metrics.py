"""CloudWatch metrics, and those that SageMaker publishes of a fleet.

Names, dimensions, units and valid statistics are those of the developer guide: "Amazon SageMaker AI metrics in Amazon
CloudWatch", and "Alarms and logs for tracking metrics" from asynchronous and from serverless endpoints. What is not
listed there for a kind of endpoint is not published, and an alarm on it would never ring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from infra.fleets import Fleet

INVOCATIONS = "AWS/SageMaker"
MACHINES = "/aws/sagemaker/Endpoints"
COPIES = "/aws/sagemaker/InferenceComponents"
JOBS = "AWS/States"
"""Step Functions, which starts batch jobs."""

MICROSECONDS_IN_MS = 1000
"""SageMaker counts latencies in microseconds."""

Resource = Literal["CPU", "Memory", "GPU", "GPUMemory"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str
    """Sum, Average, Minimum, Maximum, SampleCount, or a percentile such as p95."""

    def only(self, **dimensions: str) -> Metric:
        """The part of it that these further dimensions tell apart."""
        return replace(self, dimensions={**self.dimensions, **dimensions})


def invocation(fleet: Fleet, name: str, statistic: str) -> Metric:
    """What SageMaker counts of each request that it hands to the fleet."""
    dimensions = {"InferenceComponentName": fleet.component} if fleet.component else _variant(fleet)
    return Metric(namespace=INVOCATIONS, name=name, dimensions=dimensions, statistic=statistic)


def queue(fleet: Fleet, name: str, statistic: str) -> Metric:
    """What SageMaker counts of an asynchronous endpoint's queue, which belongs to no variant."""
    return Metric(namespace=INVOCATIONS, name=name, dimensions={"EndpointName": fleet.endpoint}, statistic=statistic)


def machine(fleet: Fleet, name: str, statistic: str) -> Metric:
    """What each of the fleet's instances reports once a minute, asked or not."""
    return Metric(namespace=MACHINES, name=name, dimensions=_variant(fleet), statistic=statistic)


def utilization(fleet: Fleet, resource: Resource, statistic: str) -> Metric:
    """In percent: of an instance, where each CPU and GPU counts 100; of a component, of what its copies reserve."""
    if fleet.component is None:
        return machine(fleet, f"{resource}Utilization", statistic)
    return Metric(
        namespace=COPIES,
        name=f"{resource}UtilizationNormalized",
        dimensions={"InferenceComponentName": fleet.component},
        statistic=statistic,
    )


def requests(fleet: Fleet) -> Metric:
    """How many there were. Asynchronous endpoints publish no Invocations, but a latency of each request."""
    if fleet.mode == "async":
        return invocation(fleet, "ModelLatency", "SampleCount")
    return invocation(fleet, "Invocations", "Sum")


def reports(fleet: Fleet) -> Metric:
    """As many a minute as there are instances: each reports once, and SageMaker publishes no count of them."""
    return machine(fleet, "CPUUtilization", "SampleCount")


def _variant(fleet: Fleet) -> dict[str, str]:
    return {"EndpointName": fleet.endpoint, "VariantName": fleet.variant}
