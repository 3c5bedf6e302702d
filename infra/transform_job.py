"""A batch transform job as a state machine: it costs nothing until it is started, and nothing after."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.acknowledgements import INLINE_POLICY, acknowledge, wildcard_reasons
from infra.data_area import INPUT, OUTPUT, DataArea
from infra.execution_role import account_service
from infra.invoke_policy import start
from infra.outputs import EXAMPLE
from infra.settings import effective_settings
from rerank_toolkit.contracts.plan import Deployment

EVENTS_RULE = "StepFunctionsGetEventsForSageMakerTransformJobsRule"
"""Through it Step Functions, which makes it, hears that a job has ended."""

_LONGEST_PREFIX = 26
"""Of a job's name: with a hyphen and a UUID that is 63 characters, where SageMaker's names end."""


class TransformJob(Construct):
    """Started with the names of two folders: scores every line of every object in the first, into the second."""

    def __init__(
        self,
        scope: Construct,
        deployment: Deployment,
        *,
        model: sagemaker.CfnModel,
        model_role: iam.IRole,
        area: DataArea,
        key: kms.IKey | None,
        log_group: logs.CfnLogGroup,
        tags: Mapping[str, str],
    ) -> None:
        """key: for the instances' storage, where the type takes one; log_group: of the state machine; tags: of each
        job, by which the bill tells whose it was."""
        super().__init__(scope, "Job")
        self.area = area
        prefix = job_prefix(deployment.stack)
        starter = _role(self, prefix=prefix, model_role=model_role)
        limit_s = effective_settings(deployment, deployment).time_limit_s
        job = {
            "TransformJobName.$": f"States.Format('{prefix}-{{}}', States.UUID())",
            "ModelName": model.attr_model_name,
            **_batches(deployment),
            "ModelClientConfig": {"InvocationsTimeoutInSeconds": math.ceil(limit_s)},
            "TransformInput": {
                "ContentType": "application/jsonlines",
                "SplitType": "Line",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri.$": _in_folder(area.uri(INPUT), "$.input")}
                },
            },
            "TransformOutput": {
                "Accept": "application/jsonlines",
                # The container ends each line itself.
                "AssembleWith": "None",
                # Where none is named SageMaker takes the account's own key for S3, whatever the bucket would.
                "KmsKeyId": area.key.key_arn,
                "S3OutputPath.$": _in_folder(area.uri(OUTPUT), "$.output"),
            },
            "TransformResources": {
                "InstanceType": deployment.instance,
                "InstanceCount": deployment.count,
                **({"VolumeKmsKeyId": key.key_arn} if key else {}),
            },
            "Tags": [{"Key": name, "Value": value} for name, value in tags.items()],
        }
        self.machine = stepfunctions.CfnStateMachine(
            self,
            "StateMachine",
            role_arn=starter.role_arn,
            state_machine_type="STANDARD",
            definition_string=cdk.Stack.of(self).to_json_string(_definition(self, job)),
            logging_configuration=_logging(log_group),
        )
        untraced = "it waits for one job, into which X-Ray does not see"
        acknowledge(self.machine, {"AwsSolutions-SF2": untraced, "Serverless-StepFunctionStateMachineXray": untraced})

    def caller_statements(self) -> list[iam.PolicyStatement]:
        """What a caller needs to bring requests, to start a job and wait for it, and to fetch answers."""
        return [
            *self.area.use(read=(OUTPUT,), write=(INPUT,)),
            self.area.list(OUTPUT),
            start(self.machine.attr_arn),
            iam.PolicyStatement(actions=["states:DescribeExecution"], resources=[self._executions]),
        ]

    def caller_wildcards(self) -> Mapping[str, str]:
        """Resources of those statements that have a * in them, each with its reason."""
        return {
            **self.area.wildcards(INPUT, OUTPUT),
            self._executions: "each execution has a name of its own; all are of this state machine",
        }

    @property
    def _executions(self) -> str:
        return cdk.Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{self.machine.attr_name}:*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )

    def add_outputs(self, stack: cdk.Stack, *, region: str) -> None:
        command = start_command(self.machine.attr_arn, region, self.area.uri(INPUT))
        for name, value, description in (
            ("InputPrefix", self.area.uri(INPUT), "Put folders of JSON lines here, a request in each line"),
            ("OutputPrefix", self.area.uri(OUTPUT), "Folders of answers appear here"),
            ("StateMachineArn", self.machine.attr_arn, "For boto3's start_execution"),
            ("StartCommand", command, "Starts a job that ranks two documents"),
        ):
            cdk.CfnOutput(stack, name, value=value, description=description)
        self.area.acknowledge_outputs(stack)


def job_statements(area: DataArea) -> list[iam.PolicyStatement]:
    """What the model's role needs to fetch requests and to store answers."""
    return [*area.use(read=(INPUT,), write=(OUTPUT,)), area.list(INPUT)]


def job_prefix(stack: str) -> str:
    """What the names of a deployment's jobs begin with: small letters, as SageMaker writes them into the ARNs that IAM
    compares."""
    return stack[:_LONGEST_PREFIX].rstrip("-").lower()


def start_command(machine: str, region: str, inputs: str) -> str:
    """A line for a shell that puts one request into the folder `example` and starts a job on it."""
    upload = f"aws s3 cp - {inputs}example/requests.jsonl --region {region}"
    folders = shlex.quote(json.dumps({"input": "example/", "output": "example/"}))
    start = f"aws stepfunctions start-execution --region {region} --state-machine-arn {machine} --input {folders}"
    return f"echo {shlex.quote(json.dumps(EXAMPLE))} | {upload} && {start}"


def largest_payload_mb(largest_request_mb: float) -> int:
    """SageMaker counts payloads in whole megabytes, and a line must fit into one."""
    return max(1, math.ceil(largest_request_mb))


def _in_folder(uri: str, path: str) -> str:
    return f"States.Format('{uri}{{}}', {path})"


def _batches(deployment: Deployment) -> dict[str, Any]:
    """How lines are put together. What the plan leaves open, the container tells SageMaker when it is asked."""
    sizes: dict[str, Any] = {"BatchStrategy": "MultiRecord"}
    if deployment.concurrency is not None:
        sizes["MaxConcurrentTransforms"] = deployment.concurrency
    if deployment.largest_request_mb is not None:
        sizes["MaxPayloadInMB"] = largest_payload_mb(deployment.largest_request_mb)
    return sizes


def _definition(scope: Construct, job: Mapping[str, Any]) -> dict[str, Any]:
    given = [{"Variable": f"$.{name}", "IsPresent": True} for name in ("input", "output")]
    return {
        "Comment": "Scores the JSON lines of one folder into another",
        "StartAt": "Check",
        "States": {
            "Check": {"Type": "Choice", "Choices": [{"And": given, "Next": "Transform"}], "Default": "Refuse"},
            "Refuse": {
                "Type": "Fail",
                "Error": "InvalidInput",
                "Cause": 'Expected {"input": "FOLDER/", "output": "FOLDER/"}: names under the stack\'s prefixes',
            },
            "Transform": {
                "Type": "Task",
                "Resource": f"arn:{cdk.Stack.of(scope).partition}:states:::sagemaker:createTransformJob.sync",
                "Parameters": job,
                "End": True,
            },
        },
    }


def _logging(group: logs.CfnLogGroup) -> stepfunctions.CfnStateMachine.LoggingConfigurationProperty:
    properties = stepfunctions.CfnStateMachine
    return properties.LoggingConfigurationProperty(
        level="ALL",
        include_execution_data=False,
        destinations=[
            properties.LogDestinationProperty(
                cloud_watch_logs_log_group=properties.CloudWatchLogsLogGroupProperty(log_group_arn=group.attr_arn)
            )
        ],
    )


def _role(scope: Construct, *, prefix: str, model_role: iam.IRole) -> iam.Role:
    """What Step Functions needs to start a job, to wait for it and to stop it, and to log (its developer guide, "IAM
    policies for Amazon SageMaker" and "Logging using CloudWatch Logs")."""
    stack = cdk.Stack.of(scope)
    jobs = stack.format_arn(service="sagemaker", resource="transform-job", resource_name=f"{prefix}-*")
    rule = stack.format_arn(service="events", resource="rule", resource_name=EVENTS_RULE)
    statements = [
        iam.PolicyStatement(
            actions=[f"sagemaker:{verb}TransformJob" for verb in ("Create", "Describe", "Stop")], resources=[jobs]
        ),
        iam.PolicyStatement(actions=["sagemaker:AddTags", "sagemaker:ListTags"], resources=[jobs]),
        iam.PolicyStatement(
            actions=["iam:PassRole"],
            resources=[model_role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        iam.PolicyStatement(actions=["events:PutTargets", "events:PutRule", "events:DescribeRule"], resources=[rule]),
        iam.PolicyStatement(actions=_LOG_DELIVERY, resources=["*"]),
    ]
    role = iam.Role(
        scope,
        "Role",
        description=f"Step Functions starts the jobs of {stack.stack_name} in it",
        assumed_by=account_service(stack, "states"),
        inline_policies={"job": iam.PolicyDocument(statements=statements)},
    )
    acknowledge(
        role,
        {
            **wildcard_reasons(
                stack,
                {
                    jobs: "each job has a name of its own; all begin with the stack's",
                    "*": "the delivery of logs is the account's, and knows no resources",
                },
            ),
            **INLINE_POLICY,
        },
    )
    return role


_LOG_DELIVERY = [
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
]
