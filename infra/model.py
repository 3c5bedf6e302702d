"""SageMaker's model: a container and the role that it is fetched in."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.container import Container
from infra.served import MAIN
from infra.vpc_access import VpcAccess


def add_model(
    scope: Construct, container: Container, role: iam.IRole, *, isolated: bool = True, network: VpcAccess | None = None
) -> sagemaker.CfnModel:
    """The container's model, under a generated name.

    isolated: The container has all it needs in image and artifact, so it reaches nothing. Serverless knows no such
    thing, and no network of ours either.
    """
    return sagemaker.CfnModel(
        scope,
        "Model" if container.variant == MAIN else f"Model-{container.variant}",
        execution_role_arn=role.role_arn,
        enable_network_isolation=True if isolated else None,
        primary_container=container.definition,
        vpc_config=network.of_model() if network else None,
    )
