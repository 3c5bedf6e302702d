"""The role in which SageMaker runs one endpoint: what that endpoint needs, and nothing beside it."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledgements import acknowledge, in_packs
from infra.artifact import ModelData
from infra.encryption_key import use_for_storage
from infra.image import ContainerImage

METRICS_NAMESPACE = "/aws/sagemaker/*"


class ExecutionRole(iam.Role):
    """Policies are part of the role, for SageMaker tries them out as soon as the model is created."""

    def __init__(
        self,
        scope: Construct,
        *,
        artifact: ModelData,
        image: ContainerImage,
        log_group: logs.CfnLogGroup,
        key: kms.IKey | None,
    ) -> None:
        stack = cdk.Stack.of(scope)
        statements = [
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[artifact.arn]),
            *image.pull_statements(),
            # Without logs:CreateLogGroup: a straggling line would bring back the group that `cdk destroy` deleted.
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                resources=[log_group.attr_arn],
            ),
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringLike": {"cloudwatch:namespace": METRICS_NAMESPACE}},
            ),
            *(use_for_storage(key) if key else []),
        ]
        super().__init__(
            scope,
            "ExecutionRole",
            description=f"SageMaker runs the endpoint {stack.stack_name} in it",
            # Only for this account's own endpoints: SageMaker must not be talked into using it for another's.
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
            inline_policies={"endpoint": iam.PolicyDocument(statements=statements)},
        )
        acknowledge(
            self,
            {
                "AwsSolutions-IAM5[Resource::*]": (
                    "ecr:GetAuthorizationToken and cloudwatch:PutMetricData know no resources; "
                    "a condition binds the second to SageMaker's namespaces"
                ),
                **in_packs("IAMNoInlinePolicy", "the policy is this role's alone and must go when it goes"),
            },
        )
