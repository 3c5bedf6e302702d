"""What a stack tells when it stands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

import aws_cdk as cdk

from infra.description import monthly_cost, price_date
from infra.endpoint import Endpoint
from rerank_toolkit.contracts.plan import Deployment, Plan

EXAMPLE = {
    "query": "What is the capital of France?",
    "documents": ["Paris is the capital of France.", "Berlin is the capital of Germany."],
}


def add_outputs(stack: cdk.Stack, plan: Plan, deployment: Deployment) -> None:
    """What there is to tell of a stack of any mode: which plan it is of, and what that expects it to cost."""
    _add(stack, "PlanId", plan.id, "The plan that this stack was rendered from")
    _add(
        stack,
        "ExpectedMonthlyCost",
        monthly_cost(deployment),
        "US dollars for 730 hours, as the plan expects; taxes and discounts are not in it",
    )
    _add(stack, "PriceDate", price_date(plan), "Of the prices behind the expected cost")


def add_endpoint_outputs(stack: cdk.Stack, plan: Plan, deployment: Deployment, endpoint: Endpoint) -> None:
    """What a caller needs of an endpoint that answers at once."""
    _add(stack, "EndpointName", endpoint.endpoint.attr_endpoint_name, "For boto3's invoke_endpoint")
    component = deployment.mode == "inference-component"
    if component:
        _add(stack, "InferenceComponentName", deployment.stack, "For boto3's invoke_endpoint, beside the endpoint's")
    _add(
        stack,
        "InvokeCommand",
        invoke_command(deployment.stack, plan.region, component=deployment.stack if component else None),
        "Ranks two documents",
    )


def invoke_command(endpoint: str, region: str, *, component: str | None = None) -> str:
    """A line for a shell that asks the endpoint to rank two documents.

    The body goes through stdin because the two major versions of the AWS command line disagree on how to take it
    as an argument: only version 2 knows --cli-binary-format, and wants it.
    """
    of_component: Sequence[str] = ("--inference-component-name", component) if component else ()
    command = shlex.join(
        [
            *("aws", "sagemaker-runtime", "invoke-endpoint", "--region", region, "--endpoint-name", endpoint),
            *of_component,
            *("--content-type", "application/json", "--body", "fileb:///dev/stdin", "answer.json"),
        ]
    )
    return f"echo {shlex.quote(json.dumps(EXAMPLE))} | {command} > /dev/null && cat answer.json"


def _add(stack: cdk.Stack, name: str, value: str, description: str) -> None:
    cdk.CfnOutput(stack, name, value=value, description=description)
