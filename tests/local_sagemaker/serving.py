"""Models, configurations and endpoints made by stock boto3, as tests need them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from .conftest import IMAGE, ROLE, LocalAws, rerank

BODY = json.dumps({"query": "which one", "documents": ["this one", "another one", "or that"]}).encode()

Found = TypeVar("Found")


def eventually(look: Callable[[], Found], *, limit_s: float = 60.0) -> Found:
    """What `look` gives, once that is something."""
    deadline = time.monotonic() + limit_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


def make_model(local_aws: LocalAws, name: str, model_data: str, **environment: str) -> str:
    local_aws.client("sagemaker").create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": model_data,
            "Environment": {"RERANK_THREADS": "1", **environment},
        },
    )
    return name


def make_config(local_aws: LocalAws, name: str, *variants: Mapping[str, Any], **more: Any) -> str:
    local_aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=list(variants), **more
    )
    return name


def variant(model: str, name: str = "AllTraffic", **settings: Any) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": model,
        "InstanceType": "ml.c7i.xlarge",
        "InitialInstanceCount": 1,
        **settings,
    }


def make_endpoint(local_aws: LocalAws, name: str, config: str, **more: Any) -> dict[str, Any]:
    """In service; its description."""
    local_aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config, **more)
    endpoint = settled(local_aws, name)
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    return endpoint


def settled(local_aws: LocalAws, name: str) -> dict[str, Any]:
    """The endpoint's description, once it is neither being made nor changed."""
    describe = local_aws.client("sagemaker").describe_endpoint
    while (endpoint := describe(EndpointName=name))["EndpointStatus"] in ("Creating", "Updating", "RollingBack"):
        time.sleep(0.05)
    found: dict[str, Any] = endpoint
    return found


def remove_endpoint(local_aws: LocalAws, name: str) -> None:
    sagemaker = local_aws.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=name)
    eventually(lambda: not sagemaker.list_endpoints(NameContains=name)["Endpoints"])


def invoke(local_aws: LocalAws, endpoint: str, body: bytes = BODY, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = local_aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=body, **options
    )
    return answer


def impatient_runtime(local_aws: LocalAws) -> Any:
    """A client that takes the first answer for the last."""
    return boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1").client(
        "sagemaker-runtime",
        endpoint_url=local_aws.document["endpoint_url"],
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )


def containers_of(local_aws: LocalAws, endpoint: str) -> dict[str, int]:
    """Pid of each variant's or component's container."""
    status = json.loads(rerank("local", "status", "--json", state=local_aws.state).stdout)
    entry = next(entry for entry in status["endpoints"] if entry["name"] == endpoint)
    return {container["variant"]: int(container["pid"]) for container in entry["containers"]}


def metric_sum(local_aws: LocalAws, name: str, *, namespace: str = "AWS/SageMaker", **dimensions: str) -> float:
    """Of all that was ever written under exactly these dimensions."""
    now = time.time()
    found = local_aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m",
                "MetricStat": {
                    "Metric": {
                        "Namespace": namespace,
                        "MetricName": name,
                        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                    },
                    "Period": 86_400,
                    "Stat": "Sum",
                },
            }
        ],
        StartTime=now - 80_000,
        EndTime=now + 60,
    )
    return sum(found["MetricDataResults"][0]["Values"])
