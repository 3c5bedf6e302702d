"""The stack of one endpoint: what its mode is made of, and what every endpoint has."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.acknowledgements import acknowledge, wildcard_reasons
from infra.alarm_rules import alarms_of
from infra.alarms import Alarms
from infra.async_endpoint import AsyncEndpoint
from infra.async_queue import AsyncQueue
from infra.container import Container, containers_of
from infra.dashboard import add_dashboard
from infra.data_area import DataArea
from infra.description import describe
from infra.encryption_key import use_for_storage
from infra.endpoint import Endpoint
from infra.execution_role import ExecutionRole
from infra.fleets import fleets
from infra.foundation import environment
from infra.inference_component import ComponentEndpoint
from infra.instance_variant import nvme_types
from infra.log_group import log_group
from infra.network import VpcAccess
from infra.options import Options
from infra.outputs import add_endpoint_outputs, add_outputs
from infra.realtime import RealtimeEndpoint
from infra.rollout import guard, guard_component, look_at_alarms
from infra.scaling import add_scaling
from infra.serverless import ServerlessEndpoint
from infra.settings import effective_settings
from infra.tags import tag
from rerank_toolkit.contracts.plan import Deployment, Plan


class EndpointStack(cdk.Stack):
    """Holds everything that the endpoint needs and bills: destroying it ends the bill."""

    def __init__(
        self,
        scope: Construct,
        plan: Plan,
        deployment: Deployment,
        options: Options,
        *,
        key: kms.IKey,
        alerts: sns.ITopic,
        network: VpcAccess | None,
        data: s3.IBucket | None,
    ) -> None:
        """key, alerts, network, data: what endpoints share; without a network their containers are in SageMaker's. data is
        the bucket for requests and answers, which asynchronous ones need."""
        super().__init__(scope, deployment.stack, env=environment(plan), description=describe(plan, deployment))
        tag(self, plan=plan.id, model=deployment.model)
        logs = log_group(
            self,
            "Logs",
            name=log_group_name(deployment),
            retention_days=plan.operations.log_retention_days,
            key=key,
        )
        containers = containers_of(self, deployment, options)
        queue = AsyncQueue(self, DataArea.of(deployment, data, key)) if deployment.mode == "async" else None
        storage_key = None if deployment.mode == "serverless" or nvme_types(deployment) else key
        role = ExecutionRole(
            self,
            log_groups=[logs.attr_arn],
            statements=[
                *(statement for container in containers for statement in container.statements),
                *(use_for_storage(storage_key) if storage_key else []),
                *(network.statements(self) if network else []),
                *(queue.statements() if queue else []),
                *look_at_alarms(self, deployment),
            ],
        )
        for container in containers:
            acknowledge(role, wildcard_reasons(self, container.wildcards))
        if queue:
            acknowledge(role, wildcard_reasons(self, queue.wildcards()))
        endpoint = self._add_endpoint(deployment, containers, role=role, key=storage_key, network=network, queue=queue)
        endpoint.endpoint.add_resource_dependency(logs)
        runbook = plan.operations.runbook
        alarms = Alarms(self, alarms_of(deployment), topic_arn=alerts.topic_arn, runbook=runbook)
        alarms.add_idle(fleets(deployment))
        if isinstance(endpoint, ComponentEndpoint):
            guard_component(deployment, endpoint.component, alarms)
        else:
            guard(self, deployment, endpoint, runbook=runbook)
        add_dashboard(self, plan, deployment, log_group_name=log_group_name(deployment))
        if options.scaling:
            add_scaling(self, deployment, endpoint)
        if queue:
            limit_s = effective_settings(deployment).time_limit_s
            queue.add_outputs(self, endpoint.endpoint, region=plan.region, timeout_s=limit_s)
        else:
            add_endpoint_outputs(self, plan, deployment, endpoint)
        add_outputs(self, plan, deployment)

    def _add_endpoint(
        self,
        deployment: Deployment,
        containers: Sequence[Container],
        *,
        role: iam.IRole,
        key: kms.IKey | None,
        network: VpcAccess | None,
        queue: AsyncQueue | None,
    ) -> Endpoint:
        match deployment.mode:
            case "realtime":
                return RealtimeEndpoint(self, deployment, containers=containers, role=role, key=key, network=network)
            case "serverless":
                return ServerlessEndpoint(self, deployment, container=containers[0], role=role)
            case "inference-component":
                return ComponentEndpoint(self, deployment, container=containers[0], role=role, key=key, network=network)
            case "async" if queue:
                return AsyncEndpoint(
                    self, deployment, queue=queue, container=containers[0], role=role, key=key, network=network
                )
            case other:
                raise TypeError(f"{deployment.stack} has the mode {other}, as no checked plan has. This is a bug.")


def log_group_name(deployment: Deployment) -> str:
    """Where SageMaker puts what the containers say."""
    of = "InferenceComponents" if deployment.mode == "inference-component" else "Endpoints"
    return f"/aws/sagemaker/{of}/{deployment.stack}"
