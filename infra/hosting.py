"""What every instance behind an endpoint is told, whoever tells it: the CDK's stacks, or SageMaker's SDK."""

from __future__ import annotations

from infra.served import Served, is_package
from rerank_toolkit.catalog.instances import find_instance

GPU_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
"""NVIDIA driver 580, CUDA 13. Left to itself SageMaker starts g4dn and g5 with driver 470, CUDA 11.4, on which
today's torch finds no GPU (AWS developer guide, "Best practices to minimize interruptions during GPU driver
upgrades")."""

ROUTING_STRATEGY = "LEAST_OUTSTANDING_REQUESTS"
"""To the instance with the fewest requests at work. The default is a random one, where a query with a thousand
documents holds up what chance puts behind it."""

SCRAPED = False
"""Said because the default is to scrape (MetricsConfig in SageMaker's API reference): the container's figures come as
embedded metrics already, and these would be another line of the bill, which no price of ours covers."""


def ami_for(served: Served) -> str | None:
    """The machine image that has to be named for what is served; None where SageMaker's choice is good, as for a
    seller's image, which was made for it."""
    if served.instance is None or is_package(served):
        return None
    return GPU_AMI if find_instance(served.instance).kind == "gpu" else None
