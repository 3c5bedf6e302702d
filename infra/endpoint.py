"""What an endpoint of any mode consists of."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.acknowledgements import acknowledge, in_packs
from rerank_toolkit.contracts.plan import Deployment


class Endpoint(Construct):
    """Models, a configuration that puts them behind an endpoint, and the endpoint; each mode has its subclass.

    The endpoint is named by the plan; models and configuration get generated names. Both are immutable in SageMaker: a
    change makes new ones, moves the endpoint over to them without a pause, and deletes the old, which a fixed name
    would prevent.

    Logical ids are the same in all modes. Another mode is then an update of the endpoint that stands, and where
    SageMaker doesn't do that, as from instances to serverless, it says so; never a second endpoint of the same name.
    """

    models: Mapping[str, sagemaker.CfnModel]
    """By variant."""
    config: sagemaker.CfnEndpointConfig
    endpoint: sagemaker.CfnEndpoint

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Endpoint")


def add_endpoint(
    scope: Construct, deployment: Deployment, config: sagemaker.CfnEndpointConfig, *, scaled: bool = False
) -> sagemaker.CfnEndpoint:
    """The endpoint itself, called like its stack.

    scaled: An update must not throw a scaled-out fleet back to its initial count. Weights are not kept: the plan's are
    the ones that hold.
    """
    weights = sagemaker.CfnEndpoint.VariantPropertyProperty(variant_property_type="DesiredWeight")
    return sagemaker.CfnEndpoint(
        scope,
        "Endpoint",
        endpoint_name=deployment.stack,
        endpoint_config_name=config.attr_endpoint_config_name,
        retain_all_variant_properties=True if scaled else None,
        exclude_retained_variant_properties=[weights] if scaled and deployment.variants else None,
    )


def explain_missing_key(config: sagemaker.CfnEndpointConfig, why: str) -> None:
    """Notes why the configuration names no key for its storage."""
    acknowledge(config, in_packs("SageMakerEndpointConfigurationKMSKeyConfigured", why))
