"""The stack of one endpoint: what its mode is made of, and what every endpoint has."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

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
from infra.fetch_policy import let_fetch
from infra.foundation import environment
from infra.inference_component import ComponentEndpoint
from infra.instance_variant import storage_key
from infra.invoke_policy import InvokePolicy, invoke, invoke_async
from infra.log_group import log_group
from infra.options import Options
from infra.outputs import add_endpoint_outputs, add_outputs
from infra.realtime import RealtimeEndpoint
from infra.rollout import guard, guard_component, look_at_alarms
from infra.scaling import add_scaling
from infra.serverless import ServerlessEndpoint
from infra.settings import effective_settings
from infra.shared import Shared
from infra.tags import tag
from infra.vpc_access import VpcAccess
from rerank_toolkit.contracts.plan import Deployment, Plan


class EndpointStack(cdk.Stack):
    """Holds everything that the endpoint needs and bills: destroying it ends the bill."""

    def __init__(self, scope: Construct, plan: Plan, deployment: Deployment, options: Options, shared: Shared) -> None:
        super().__init__(scope, deployment.stack, env=environment(plan), description=describe(plan, deployment))
        tag(self, plan=plan.id, model=deployment.model)
        group = log_group(
            self,
            "Logs",
            name=log_group_name(deployment),
            retention_days=plan.operations.log_retention_days,
            key=shared.key,
        )
        queue = (
            AsyncQueue(self, DataArea.of(deployment, shared.data, shared.key)) if deployment.mode == "async" else None
        )
        key = storage_key(deployment, shared.key)
        role = self._add_role(deployment, group=group, key=key, network=shared.network, queue=queue)
        containers = containers_of(self, deployment, options)
        endpoint = self._add_endpoint(deployment, containers, role=role, key=key, network=shared.network, queue=queue)
        let_fetch(self, role, containers, endpoint.models.values())
        endpoint.endpoint.add_resource_dependency(group)
        self._watch(plan, deployment, endpoint, shared.alerts)
        if options.scaling:
            add_scaling(self, deployment, endpoint)
        if queue:
            limit_s = effective_settings(deployment, deployment).time_limit_s
            queue.add_outputs(self, endpoint.endpoint, region=plan.region, timeout_s=limit_s)
        else:
            add_endpoint_outputs(self, plan, deployment, endpoint)
        self._add_invoke_policy(endpoint, queue)
        add_outputs(self, plan, deployment)

    def _add_role(
        self,
        deployment: Deployment,
        *,
        group: logs.CfnLogGroup,
        key: kms.IKey | None,
        network: VpcAccess | None,
        queue: AsyncQueue | None,
    ) -> ExecutionRole:
        return ExecutionRole(
            self,
            log_groups=[group.attr_arn],
            statements=[
                *(use_for_storage(key) if key else []),
                *(network.statements(self) if network else []),
                *(queue.statements() if queue else []),
                *look_at_alarms(self, deployment),
            ],
            wildcards={
                **(network.wildcards(self) if network else {}),
                **(queue.wildcards() if queue else {}),
            },
        )

    def _add_endpoint(
        self,
        deployment: Deployment,
        containers: Sequence[Container],
        *,
        role: ExecutionRole,
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

    def _watch(self, plan: Plan, deployment: Deployment, endpoint: Endpoint, alerts: sns.ITopic) -> None:
        runbook = plan.operations.runbook
        alarms = Alarms(self, alarms_of(deployment), topic_arn=alerts.topic_arn, runbook=runbook)
        alarms.add_idle(deployment)
        if isinstance(endpoint, ComponentEndpoint):
            guard_component(deployment, endpoint.component, alarms)
        else:
            guard(self, deployment, endpoint, runbook=runbook)
        add_dashboard(self, plan, deployment, log_group_name=log_group_name(deployment))

    def _add_invoke_policy(self, endpoint: Endpoint, queue: AsyncQueue | None) -> None:
        arn = endpoint.endpoint.ref
        if queue:
            InvokePolicy(self, [invoke_async(arn), *queue.caller_statements()], wildcards=queue.wildcards())
        elif isinstance(endpoint, ComponentEndpoint):
            InvokePolicy(self, [invoke(arn, endpoint.component.attr_inference_component_arn)])
        else:
            InvokePolicy(self, [invoke(arn)])


def log_group_name(deployment: Deployment) -> str:
    """Where SageMaker puts what the containers say."""
    of = "InferenceComponents" if deployment.mode == "inference-component" else "Endpoints"
    return f"/aws/sagemaker/{of}/{deployment.stack}"
