"""A real-time endpoint that holds its model as an inference component: it alone can be without any instance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.container import Container
from infra.endpoint import Endpoint, add_endpoint, explain_missing_key
from infra.hosting import ami_for
from infra.instance_variant import ROUTING, why_no_key
from infra.model import add_model
from infra.scalable import widest_bounds
from infra.served import MAIN
from infra.vpc_access import VpcAccess
from rerank_toolkit.catalog.instances import Instance, find_instance
from rerank_toolkit.contracts.plan import Deployment

MEGABYTES_PER_MIB = 1.048576

PUBLISH_S = 60


class ComponentEndpoint(Endpoint):
    """The endpoint's variant has instances and no model; the component brings copies of the model onto them.

    Copies are what is scaled, and SageMaker has as many instances as they need. Role, isolation, network and key are
    the configuration's here, which in other modes has a model to say it. The component is called like the endpoint.
    """

    component: sagemaker.CfnInferenceComponent

    def __init__(
        self,
        scope: Construct,
        deployment: Deployment,
        *,
        container: Container,
        role: iam.IRole,
        key: kms.IKey | None,
        network: VpcAccess | None,
    ) -> None:
        """key: as for a RealtimeEndpoint."""
        super().__init__(scope)
        copy = Copy.of(deployment)
        model = add_model(self, container, role, network=network)
        self.models = {MAIN: model}
        self.config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            execution_role_arn=role.role_arn,
            enable_network_isolation=True,
            kms_key_id=key.key_arn if key else None,
            vpc_config=network.of_endpoint() if network else None,
            # SageMaker reads the container's /metrics, into metrics that PromQL asks for.
            metrics_config=sagemaker.CfnEndpointConfig.MetricsConfigProperty(
                enable_detailed_observability=True, metric_publish_frequency_in_seconds=PUBLISH_S
            ),
            production_variants=[_empty_variant(deployment, copy)],
        )
        if key is None:
            explain_missing_key(self.config, why_no_key(deployment))
        self.endpoint = add_endpoint(self, deployment, self.config)
        self.component = sagemaker.CfnInferenceComponent(
            self,
            "Component",
            inference_component_name=deployment.stack,
            endpoint_name=self.endpoint.attr_endpoint_name,
            variant_name=MAIN,
            specification=sagemaker.CfnInferenceComponent.InferenceComponentSpecificationProperty(
                model_name=model.attr_model_name,
                compute_resource_requirements=copy.requirements(),
                startup_parameters=sagemaker.CfnInferenceComponent.InferenceComponentStartupParametersProperty(
                    container_startup_health_check_timeout_in_seconds=deployment.startup_timeout_s
                ),
            ),
            runtime_config=sagemaker.CfnInferenceComponent.InferenceComponentRuntimeConfigProperty(
                copy_count=deployment.count
            ),
        )


@dataclass(frozen=True)
class Copy:
    """What one copy has for itself: an equal share of an instance's cores or GPUs, and the memory that it needs."""

    instance: Instance
    per_instance: int
    memory_mb: int

    @classmethod
    def of(cls, deployment: Deployment) -> Copy:
        memory_mb = reserved_mb(deployment)
        if deployment.instance is None or memory_mb is None:
            raise TypeError(f"{deployment.stack} has no instance or memory, as a checked plan has. This is a bug.")
        return cls(find_instance(deployment.instance), deployment.copies_per_instance, memory_mb)

    def requirements(self) -> sagemaker.CfnInferenceComponent.InferenceComponentComputeResourceRequirementsProperty:
        gpus = self.instance.gpu_count
        return sagemaker.CfnInferenceComponent.InferenceComponentComputeResourceRequirementsProperty(
            min_memory_required_in_mb=self.memory_mb,
            number_of_accelerator_devices_required=gpus // self.per_instance if gpus else None,
            number_of_cpu_cores_required=None if gpus else self.instance.vcpu / self.per_instance,
        )

    def instances(self, copies: int) -> int:
        return math.ceil(copies / self.per_instance)


def reserved_mb(deployment: Deployment) -> int | None:
    """Memory that each copy reserves: the plan's, or what the model is expected to need; None if both are unknown.

    AWS doesn't say which megabyte it means. As many of the smaller ones are enough in either case.
    """
    if deployment.memory_mb is not None:
        return deployment.memory_mb
    need = deployment.expected.memory_mib
    return None if need is None else math.ceil(need * MEGABYTES_PER_MIB)


def _empty_variant(deployment: Deployment, copy: Copy) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
    scaling = deployment.scaling
    fewest, most = widest_bounds(scaling) if scaling else (deployment.count, deployment.count)
    return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        variant_name=MAIN,
        instance_type=deployment.instance,
        initial_instance_count=copy.instances(deployment.count),
        inference_ami_version=ami_for(deployment),
        routing_config=ROUTING,
        managed_instance_scaling=sagemaker.CfnEndpointConfig.ManagedInstanceScalingProperty(
            status="ENABLED",
            min_instance_count=copy.instances(fewest),
            # One more than copies ever fill: an update starts new ones before it stops the old.
            max_instance_count=copy.instances(most) + 1,
        ),
    )
