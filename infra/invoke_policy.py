"""A policy for callers: it lets them ask one endpoint, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledgements import acknowledge, wildcard_reasons


class InvokePolicy(iam.ManagedPolicy):
    """To be attached to the roles of those who call; a managed one, as they are others' roles.

    SageMaker writes ARNs in small letters, whatever an endpoint is called, and IAM tells capitals apart: so resources
    are what CloudFormation is told they are, never put together from a name.
    """

    def __init__(
        self,
        scope: Construct,
        statements: Sequence[iam.PolicyStatement],
        *,
        wildcards: Mapping[str, str] | None = None,
    ) -> None:
        """wildcards: resources with a * in them, each with its reason."""
        stack = cdk.Stack.of(scope)
        super().__init__(
            scope,
            "InvokePolicy",
            description=f"Lets its holder ask {stack.stack_name}, and nothing else",
            statements=list(statements),
        )
        if wildcards:
            acknowledge(self, wildcard_reasons(stack, wildcards))
        cdk.CfnOutput(
            stack,
            "InvokePolicyArn",
            value=self.managed_policy_arn,
            description="Attach it to the roles of those who call",
        )


def invoke(*arns: str) -> iam.PolicyStatement:
    """Asking an endpoint and, where it has one, its inference component, by ARN."""
    return iam.PolicyStatement(actions=["sagemaker:InvokeEndpoint"], resources=list(arns))


def invoke_async(endpoint: str) -> iam.PolicyStatement:
    """Putting a request into an endpoint's queue, by ARN; its body goes through S3."""
    return iam.PolicyStatement(actions=["sagemaker:InvokeEndpointAsync"], resources=[endpoint])


def start(machine: str) -> iam.PolicyStatement:
    """Starting jobs with a state machine, by ARN."""
    return iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine])
