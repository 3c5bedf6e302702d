"""A variant of an endpoint on instances."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker

from infra.hosting import ROUTING_STRATEGY, SCRAPED, ami_for
from infra.served import Served, all_served, variant_name
from rerank_toolkit.catalog.instances import find_instance
from rerank_toolkit.contracts.plan import Deployment

ROUTING = sagemaker.CfnEndpointConfig.RoutingConfigProperty(routing_strategy=ROUTING_STRATEGY)
UNSCRAPED = sagemaker.CfnEndpointConfig.MetricsConfigProperty(enable_detailed_observability=SCRAPED)


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
        inference_ami_version=ami_for(served),
        container_startup_health_check_timeout_in_seconds=served.startup_timeout_s,
        routing_config=ROUTING,
    )


def nvme_types(deployment: Deployment) -> list[str]:
    """The deployment's types with local NVMe.

    They encrypt it in hardware, and SageMaker takes no key for an endpoint as soon as one of its variants is on one.
    """
    types = dict.fromkeys(served.instance for served in all_served(deployment) if served.instance)
    return [name for name in types if find_instance(name).local_nvme]


def storage_key(deployment: Deployment, key: kms.IKey) -> kms.IKey | None:
    """`key`, where there is storage of instances that takes one."""
    return None if deployment.mode == "serverless" or nvme_types(deployment) else key


def why_no_key(deployment: Deployment) -> str:
    """For the types that `nvme_types` lists."""
    return f"SageMaker takes no key beside {', '.join(nvme_types(deployment))}: local NVMe is encrypted in hardware"
