"""The stack of one deployment."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledgements import acknowledge, in_packs
from infra.artifact import ModelData
from infra.endpoint import VARIANT, RealtimeEndpoint, takes_key
from infra.execution_role import ExecutionRole
from infra.foundation import environment
from infra.image import ContainerImage
from infra.options import Options
from infra.outputs import add_outputs
from infra.scaling import TargetTracking
from infra.tags import tag
from rerank_toolkit.contracts.plan import Deployment, Plan

LOG_RETENTION_DAYS = 30


class EndpointStack(cdk.Stack):
    """Holds everything that the endpoint needs and bills: destroying it ends the bill."""

    def __init__(self, scope: Construct, plan: Plan, deployment: Deployment, key: kms.IKey, options: Options) -> None:
        super().__init__(scope, deployment.stack, env=environment(plan), description=describe(plan, deployment))
        tag(self, plan=plan.id, model=deployment.model)
        artifact = ModelData.of(self, deployment, options)
        image = ContainerImage.of(self, deployment, options)
        storage_key = key if takes_key(deployment) else None
        # SageMaker would make the group itself, to be kept and billed for ever.
        log_group = logs.CfnLogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/sagemaker/Endpoints/{deployment.stack}",
            retention_in_days=LOG_RETENTION_DAYS,
        )
        log_group.apply_removal_policy(cdk.RemovalPolicy.DESTROY)
        acknowledge(
            log_group,
            in_packs(
                "CloudWatchLogGroupEncrypted",
                "CloudWatch encrypts it under a key of its own; the container logs neither queries nor documents",
            ),
        )
        role = ExecutionRole(self, artifact=artifact, image=image, log_group=log_group, key=storage_key)
        realtime = RealtimeEndpoint(self, deployment, artifact=artifact, image=image, role=role, key=storage_key)
        realtime.endpoint.add_resource_dependency(log_group)
        if deployment.scaling:
            TargetTracking(self, realtime.endpoint, VARIANT, deployment.scaling)
        add_outputs(self, plan, realtime.endpoint)


def describe(plan: Plan, deployment: Deployment) -> str:
    """One line on what the stack runs and what the plan expects it to cost; ASCII, for CloudFormation keeps no more."""
    cost, fleet = deployment.expected.monthly_cost, f"{deployment.count} x {deployment.instance}"
    if deployment.scaling:
        fleet = f"{deployment.scaling.min_instances} to {deployment.scaling.max_instances} x {deployment.instance}"
    price = "monthly cost unknown"
    if cost is not None:
        price = f"expected ${cost:,.2f} a month"
        if plan.price_date:
            price += f" at prices of {plan.price_date:%Y-%m-%d}"
    return f"{deployment.model} ({deployment.engine} {deployment.dtype}) on {fleet}, {price}"
