"""What runs for one model: our image with an artifact and settings, or a Marketplace package, which has all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker

from infra.artifact import ModelData
from infra.image import ContainerImage
from infra.options import Options
from infra.served import Served, all_served, image_of, scope_of, variant_name
from infra.settings import container_environment
from rerank_toolkit.contracts.plan import Deployment, ModelPackageArtifact


@dataclass(frozen=True)
class Container:
    variant: str
    definition: sagemaker.CfnModel.ContainerDefinitionProperty
    statements: Sequence[iam.PolicyStatement] = ()
    """What the role needs to fetch artifact and image; a package is fetched in the seller's name."""
    wildcards: Mapping[str, str] = field(default_factory=dict)
    """Resources of those statements that have a * in them, each with its reason."""


def containers_of(stack: cdk.Stack, deployment: Deployment, options: Options) -> list[Container]:
    """The deployment's own container first, then those of its variants."""
    return [_container(stack, served, deployment, options) for served in all_served(deployment)]


def _container(stack: cdk.Stack, served: Served, deployment: Deployment, options: Options) -> Container:
    name, environment = variant_name(served), container_environment(deployment, served) or None
    if isinstance(served.artifact, ModelPackageArtifact):
        cdk.Annotations.of(stack).add_info_v2(
            f"rerank-toolkit:subscribe-{name}",
            f"{served.artifact.arn} is deployed by accounts that subscribe to it in the AWS Marketplace: do so first",
        )
        package = sagemaker.CfnModel.ContainerDefinitionProperty(
            model_package_name=served.artifact.arn, environment=environment
        )
        return Container(variant=name, definition=package)
    data = ModelData.of(stack, served, options)
    image = ContainerImage.of(scope_of(stack, served), image_of(served, deployment), served.instance, options)
    return Container(
        variant=name,
        definition=sagemaker.CfnModel.ContainerDefinitionProperty(
            image=image.uri,
            model_data_url=None if data.is_prefix else data.url,
            model_data_source=data.as_source() if data.is_prefix else None,
            environment=environment,
        ),
        statements=[*data.read_statements(), *image.pull_statements()],
        wildcards={data.files_arn: "an artifact of many files: all under its prefix"} if data.is_prefix else {},
    )
