"""A realtime endpoint: model, configuration, endpoint."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.acknowledgements import acknowledge, in_packs
from infra.artifact import ModelData
from infra.image import ContainerImage
from rerank_toolkit.catalog.instances import find_instance
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.plan import Deployment
from rerank_toolkit.contracts.settings import Settings

VARIANT = "AllTraffic"

GPU_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
"""NVIDIA driver 580, CUDA 13. Left to itself SageMaker starts g4dn and g5 with driver 470, CUDA 11.4, on which
today's torch finds no GPU (AWS developer guide, "Best practices to minimize interruptions during GPU driver
upgrades")."""


class RealtimeEndpoint(Construct):
    """The endpoint is named by the plan; model and configuration get generated names.

    Both are immutable in SageMaker: a change makes new ones, moves the endpoint over to them without a pause, and
    deletes the old, which a fixed name would prevent.
    """

    def __init__(
        self,
        scope: Construct,
        deployment: Deployment,
        *,
        artifact: ModelData,
        image: ContainerImage,
        role: iam.Role,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, "Realtime")
        self.model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=role.role_arn,
            # The container has all it needs in the image and the artifact.
            enable_network_isolation=True,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image.uri, model_data_url=artifact.url, environment=_environment(deployment) or None
            ),
        )

        self.config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            kms_key_id=key.key_arn if key else None,
            production_variants=[_variant(deployment, self.model)],
        )
        if key is None:
            acknowledge(
                self.config,
                in_packs(
                    "SageMakerEndpointConfigurationKMSKeyConfigured",
                    f"{deployment.instance} encrypts its local NVMe in hardware, and SageMaker takes no key for it",
                ),
            )
        self.endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=deployment.stack,
            endpoint_config_name=self.config.attr_endpoint_config_name,
            # An update must not throw a scaled-out fleet back to its initial count.
            retain_all_variant_properties=True if deployment.scaling else None,
        )


def takes_key(deployment: Deployment) -> bool:
    """Whether the storage of the deployment's instance can be encrypted under a key.

    Types with local NVMe encrypt it in hardware, and SageMaker refuses a key for them.
    """
    return deployment.instance is not None and not find_instance(deployment.instance).local_nvme


def _variant(
    deployment: Deployment, model: sagemaker.CfnModel
) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
    gpu = deployment.instance is not None and find_instance(deployment.instance).kind == "gpu"
    return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        variant_name=VARIANT,
        model_name=model.attr_model_name,
        initial_variant_weight=1,
        initial_instance_count=deployment.count,
        instance_type=deployment.instance,
        inference_ami_version=GPU_AMI if gpu else None,
        container_startup_health_check_timeout_in_seconds=deployment.startup_timeout_s,
    )


def _environment(deployment: Deployment) -> dict[str, str]:
    settings = Settings(time_limit_s=load_limits().realtime.timeout_s)
    return {**settings.to_environment(), **deployment.environment}
