"""SageMaker's SDK, version 3: asks what the CDK deployed, and deploys the same by itself."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import boto3
import msgspec
from sagemaker.core.resources import Endpoint

from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.sagemaker_sdk import DeployFailed, deploy, destroy, read_deployment

BODY = json.dumps({"query": "which of them", "documents": ["this one", "another one", "or that"]})


def main(plan: str, stack: str, role: str, folder: str) -> None:
    deployment = msgspec.structs.replace(read_deployment(plan, stack), stack=f"{stack}BySdk")
    how: dict[str, Any] = {"role": role, "upload_to": folder, "poll_s": 0.05}
    told: dict[str, Any] = {}
    with contextlib.redirect_stdout(sys.stderr):  # the SDK draws on it
        told["by_cdk"] = _ask(Endpoint.get(stack))
        try:
            deploy(deployment, role=role)
        except InvalidInput as error:
            told["refused"] = [fault.field for fault in error.faults]
        endpoint = deploy(deployment, **how)
        told["by_sdk"] = _ask(endpoint)
        told["config"] = endpoint.endpoint_config_name
        told["described"] = _describe(endpoint.endpoint_config_name)
        try:
            deploy(_changed(deployment, RERANK_TOKEN_BUDGET="none at all"), **how)
        except DeployFailed as error:
            told["failed"] = str(error)
        told["after_failure"] = Endpoint.get(deployment.stack).endpoint_config_name
        endpoint = deploy(_changed(deployment, RERANK_TOKEN_BUDGET="512"), **how)
        told["updated"] = _ask(endpoint)
        destroy(endpoint, poll_s=0.05)
    print(json.dumps(told))


def _ask(endpoint: Endpoint) -> dict[str, float]:
    """The first document's score by variant, each asked."""
    scores = {}
    for variant in endpoint.production_variants:
        answer = endpoint.invoke(body=BODY, content_type="application/json", target_variant=variant.variant_name)
        results = json.loads(answer.body.read())["results"]
        scores[variant.variant_name] = next(item["relevance_score"] for item in results if item["index"] == 0)
    return scores


def _changed(deployment: Any, **environment: str) -> Any:
    return msgspec.structs.replace(deployment, environment={**deployment.environment, **environment})


def _describe(config: str) -> dict[str, Any]:
    """The configuration and its models, as SageMaker has them."""
    client = boto3.client("sagemaker")
    described = client.describe_endpoint_config(EndpointConfigName=config)
    models = {
        variant["VariantName"]: client.describe_model(ModelName=variant["ModelName"])
        for variant in described["ProductionVariants"]
    }
    return json.loads(json.dumps({"config": described, "models": models}, default=str))


main(*sys.argv[1:])
