"""The stack of one batch job: a model and a state machine that starts jobs with it."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.alarm_rules import job_alarms
from infra.alarms import Alarms
from infra.container import containers_of
from infra.data_area import INPUT, OUTPUT, DataArea
from infra.description import describe
from infra.encryption_key import use_for_storage
from infra.execution_role import ExecutionRole
from infra.fetch_policy import let_fetch
from infra.foundation import environment
from infra.instance_variant import storage_key
from infra.invoke_policy import InvokePolicy
from infra.log_group import log_group
from infra.model import add_model
from infra.options import Options
from infra.outputs import add_outputs
from infra.shared import Shared
from infra.tags import tag, tags
from infra.transform_job import TransformJob, job_statements
from rerank_toolkit.contracts.plan import Deployment, Plan

JOB_LOGS = "/aws/sagemaker/TransformJobs"
"""What the containers of all the account's transform jobs say, ours and others': no stack's to make or to delete."""


class JobStack(cdk.Stack):
    """Costs nothing while no job runs; a job's instances come and go with it."""

    def __init__(
        self,
        scope: Construct,
        plan: Plan,
        deployment: Deployment,
        options: Options,
        shared: Shared,
    ) -> None:
        super().__init__(scope, deployment.stack, env=environment(plan), description=describe(plan, deployment))
        told = {"plan": plan.id, "model": deployment.model}
        tag(self, **told)
        area = DataArea.of(deployment, shared.data, shared.key)
        key = storage_key(deployment, shared.key)
        (container,) = containers_of(self, deployment, options)
        job_logs = self.format_arn(
            service="logs", resource="log-group", resource_name=JOB_LOGS, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )
        role = ExecutionRole(
            self,
            log_groups=[f"{job_logs}:*"],
            statements=[
                *job_statements(area),
                iam.PolicyStatement(actions=["logs:CreateLogGroup"], resources=[f"{job_logs}:*"]),
                *(use_for_storage(key) if key else []),
                *(shared.network.statements(self) if shared.network else []),
            ],
            wildcards={
                **area.wildcards(INPUT, OUTPUT),
                f"{job_logs}:*": "the streams of the group that SageMaker keeps for all transform jobs",
                **(shared.network.wildcards(self) if shared.network else {}),
            },
        )
        model = add_model(self, container, role, network=shared.network)
        let_fetch(self, role, [container], [model])
        self.job = TransformJob(
            self,
            deployment,
            model=model,
            model_role=role,
            area=area,
            key=key,
            log_group=log_group(
                self,
                "Logs",
                name=f"/aws/vendedlogs/states/{deployment.stack}",
                retention_days=plan.operations.log_retention_days,
                key=shared.key,
            ),
            tags=tags(**told),
        )
        alarms = job_alarms(deployment, self.job.machine.attr_arn)
        Alarms(self, alarms, topic_arn=shared.alerts.topic_arn, runbook=plan.operations.runbook)
        InvokePolicy(self, self.job.caller_statements(), wildcards=self.job.caller_wildcards())
        self.job.add_outputs(self, region=plan.region)
        add_outputs(self, plan, deployment)
