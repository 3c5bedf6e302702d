"""What a stack tells when it stands."""

from __future__ import annotations

import json
import shlex

import aws_cdk as cdk
from aws_cdk import aws_sagemaker as sagemaker

from rerank_toolkit.contracts.plan import Plan

EXAMPLE = {
    "query": "What is the capital of France?",
    "documents": ["Paris is the capital of France.", "Berlin is the capital of Germany."],
}


def add_outputs(stack: cdk.Stack, plan: Plan, endpoint: sagemaker.CfnEndpoint) -> None:
    cdk.CfnOutput(stack, "EndpointName", value=endpoint.attr_endpoint_name, description="For boto3's invoke_endpoint")
    cdk.CfnOutput(
        stack, "InvokeCommand", value=invoke_command(stack.stack_name, plan.region), description="Ranks two documents"
    )


def invoke_command(endpoint: str, region: str) -> str:
    """A line for a shell that asks the endpoint to rank two documents.

    The body goes through stdin because the two major versions of the AWS command line disagree on how to take it
    as an argument: only version 2 knows --cli-binary-format, and wants it.
    """
    command = shlex.join(
        [
            *("aws", "sagemaker-runtime", "invoke-endpoint", "--region", region, "--endpoint-name", endpoint),
            *("--content-type", "application/json", "--body", "fileb:///dev/stdin", "answer.json"),
        ]
    )
    return f"echo {shlex.quote(json.dumps(EXAMPLE))} | {command} > /dev/null && cat answer.json"
