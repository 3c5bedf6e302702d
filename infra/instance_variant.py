"""A variant of an endpoint on instances."""

from __future__ import annotations

from aws_cdk import aws_sagemaker as sagemaker

from infra.served import Served, all_served, variant_name
from rerank_toolkit.catalog.instances import find_instance
from rerank_toolkit.contracts.plan import Deployment

GPU_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
"""NVIDIA driver 580, CUDA 13. Left to itself SageMaker starts g4dn and g5 with driver 470, CUDA 11.4, on which
today's torch finds no GPU (AWS developer guide, "Best practices to minimize interruptions during GPU driver
upgrades")."""

ROUTING = sagemaker.CfnEndpointConfig.RoutingConfigProperty(routing_strategy="LEAST_OUTSTANDING_REQUESTS")
"""To the instance with the fewest requests at work. The default is a random one, where a query with a thousand
documents holds up what chance puts behind it."""

UNSCRAPED = sagemaker.CfnEndpointConfig.MetricsConfigProperty(enable_detailed_observability=False)
"""Said because the default is to scrape (MetricsConfig in SageMaker's API reference): the container's figures come as
embedded metrics already, and these would be another line of the bill, which no price of ours covers."""


def instance_variant(
    served: Served, model: sagemaker.CfnModel
) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
    """What is served, on instances of its own."""
    return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        variant_name=variant_name(served),
        model_name=model.attr_model_name,
        initial_variant_weight=served.weight,
        initial_instance_count=served.count,
        instance_type=served.instance,
        inference_ami_version=ami_for(served.instance),
        container_startup_health_check_timeout_in_seconds=served.startup_timeout_s,
        routing_config=ROUTING,
    )


def ami_for(instance: str | None) -> str | None:
    """The machine image that has to be named for a type; None where SageMaker's choice is good."""
    return GPU_AMI if instance is not None and find_instance(instance).kind == "gpu" else None


def nvme_types(deployment: Deployment) -> list[str]:
    """The deployment's types with local NVMe.

    They encrypt it in hardware, and SageMaker takes no key for an endpoint as soon as one of its variants is on one.
    """
    types = dict.fromkeys(served.instance for served in all_served(deployment) if served.instance)
    return [name for name in types if find_instance(name).local_nvme]


def why_no_key(deployment: Deployment) -> str:
    """For the types that `nvme_types` lists."""
    return f"SageMaker takes no key beside {', '.join(nvme_types(deployment))}: local NVMe is encrypted in hardware"
