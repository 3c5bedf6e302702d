"""The role in which SageMaker runs models: what those models need, and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledgements import INLINE_POLICY, acknowledge, wildcard_reasons

METRICS_NAMESPACE = "/aws/sagemaker/*"


class ExecutionRole(iam.Role):
    """Writes logs and metrics, and does what `statements` say: key, network and data each bring their own along.

    They hold for all versions; what fetches one version's artifacts and images comes with that (fetch_policy.py).
    Policies are part of the role, for SageMaker tries them out as soon as a model is created.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        log_groups: Sequence[str],
        statements: Iterable[iam.PolicyStatement],
        wildcards: Mapping[str, str] | None = None,
    ) -> None:
        """log_groups: ARNs, with the :* of their streams.
        wildcards: resources of the statements that have a * in them, each with its reason.
        """
        stack = cdk.Stack.of(scope)
        policy = iam.PolicyDocument(statements=[*statements, write_logs(log_groups), _write_metrics()], minimize=True)
        super().__init__(
            scope,
            "ExecutionRole",
            description=f"SageMaker runs the models of {stack.stack_name} in it",
            assumed_by=account_service(stack, "sagemaker"),
            inline_policies={"endpoint": policy},
        )
        acknowledge(
            self,
            {
                "AwsSolutions-IAM5[Resource::*]": (
                    "cloudwatch:PutMetricData and the network's Describe actions know no resources; a condition binds "
                    "the first to SageMaker's namespaces"
                ),
                **wildcard_reasons(stack, wildcards or {}),
                **INLINE_POLICY,
            },
        )


def account_service(stack: cdk.Stack, service: str) -> iam.ServicePrincipal:
    """A service in its work for this account alone: it must not be talked into using our role for another's."""
    return iam.ServicePrincipal(
        f"{service}.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
    )


def write_logs(groups: Sequence[str]) -> iam.PolicyStatement:
    """Writing into groups that stand, by ARN.

    Without logs:CreateLogGroup: a straggling line would bring back the group that `cdk destroy` deleted.
    """
    return iam.PolicyStatement(
        actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], resources=list(groups)
    )


def _write_metrics() -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=["cloudwatch:PutMetricData"],
        resources=["*"],
        conditions={"StringLike": {"cloudwatch:namespace": METRICS_NAMESPACE}},
    )
