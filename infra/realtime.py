"""A real-time endpoint on instances: one model, several that share the requests, or one and its shadow."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.container import Container
from infra.endpoint import Endpoint, add_endpoint, explain_missing_key
from infra.instance_variant import UNSCRAPED, instance_variant, why_no_key
from infra.model import add_model
from infra.served import all_served, variant_name
from infra.vpc_access import VpcAccess
from rerank_toolkit.contracts.plan import Deployment


class RealtimeEndpoint(Endpoint):
    def __init__(
        self,
        scope: Construct,
        deployment: Deployment,
        *,
        containers: Sequence[Container],
        role: iam.IRole,
        key: kms.IKey | None,
        network: VpcAccess | None,
    ) -> None:
        """key: for the storage of the instances, None where `nvme_types` lists one."""
        super().__init__(scope)
        served = all_served(deployment)
        shadows = {variant.name for variant in deployment.variants if variant.shadow}
        self.models = {container.variant: add_model(self, container, role, network=network) for container in containers}
        variants = {variant_name(one): instance_variant(one, self.models[variant_name(one)]) for one in served}
        self.config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            kms_key_id=key.key_arn if key else None,
            production_variants=[variant for name, variant in variants.items() if name not in shadows],
            shadow_production_variants=[variants[name] for name in sorted(shadows)] or None,
            metrics_config=UNSCRAPED,
        )
        if key is None:
            explain_missing_key(self.config, why_no_key(deployment))
        self.endpoint = add_endpoint(self, deployment, self.config, scaled=any(one.scaling for one in served))
