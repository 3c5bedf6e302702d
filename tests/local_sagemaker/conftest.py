"""A running local AWS, brought up as a user does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from rerank_toolkit import __version__

IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/rerank-toolkit:cpu-{__version__}"
ROLE = "arn:aws:iam::123456789012:role/any"


def rerank(*arguments: str, state: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as in a shell that knows no AWS."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("rerank")), *arguments],
        env={**plain_environment(), "RERANK_LOCAL_STATE": str(state), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@dataclass(frozen=True)
class LocalAws:
    state: Path
    document: Mapping[str, Any]
    """What `rerank local up --json` printed."""
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**plain_environment(), **self.document["environment"]}

    def client(self, service: str) -> Any:
        """A stock boto3 client, led here by nothing but the profile that `up` wrote."""
        if service not in self._clients:
            with pytest.MonkeyPatch.context() as patch:
                for name in [name for name in os.environ if name.startswith("AWS_")]:
                    patch.delenv(name)
                for name, value in self.document["environment"].items():
                    patch.setenv(name, value)
                self._clients[service] = boto3.Session().client(service)
        return self._clients[service]

    def deploy(self, name: str, template: Mapping[str, Any], *, update: bool = False) -> dict[str, Any]:
        """Creates or updates the stack and waits until it has settled; gives its description."""
        cloudformation = self.client("cloudformation")
        call = cloudformation.update_stack if update else cloudformation.create_stack
        call(StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"])
        return self.settled(name)

    def settled(self, name: str) -> dict[str, Any]:
        while True:
            stack: dict[str, Any] = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                return stack

    def events(self, name: str) -> list[tuple[str, str]]:
        """Logical id and status of each event, oldest first."""
        events = self.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
        return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(events)]

    def reasons(self, name: str) -> str:
        events = self.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
        return "\n".join(event.get("ResourceStatusReason", "") for event in events)

    def physical_ids(self, name: str) -> dict[str, str]:
        resources = self.client("cloudformation").list_stack_resources(StackName=name)["StackResourceSummaries"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}

    def delete(self, name: str) -> None:
        cloudformation = self.client("cloudformation")
        stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        cloudformation.delete_stack(StackName=name)
        assert self.settled(stack_id)["StackStatus"] == "DELETE_COMPLETE", self.reasons(stack_id)


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One for the session; tests keep apart by the names of their stacks."""
    state = tmp_path_factory.mktemp("local") / "state"
    answer = rerank("local", "up", "--json", state=state)
    assert answer.returncode == 0, answer.stderr
    yield LocalAws(state, json.loads(answer.stdout))
    assert rerank("local", "down", state=state).returncode == 0
    assert not state.exists()


@pytest.fixture(scope="session")
def model_data(local_aws: LocalAws, small_bert: Path) -> str:
    """S3 URI of a small model in the local S3."""
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="models")
    s3.upload_file(f"{small_bert}.tar.gz", "models", "small-bert.tar.gz")
    return "s3://models/small-bert.tar.gz"


def endpoint_template(model_data: str, *, name: str, image: str = IMAGE, **environment: str) -> dict[str, Any]:
    """A model, a configuration and an endpoint, as infra writes them: only the endpoint has a name."""
    return {
        "Resources": {
            "Endpoint": {
                "Type": "AWS::SageMaker::Endpoint",
                "Properties": {
                    "EndpointName": name,
                    "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
                },
            },
            "Config": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {
                    "ProductionVariants": [
                        {
                            "VariantName": "AllTraffic",
                            "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
                            "InstanceType": "ml.c7i.xlarge",
                            "InitialInstanceCount": "1",
                            "InitialVariantWeight": 1,
                        }
                    ]
                },
            },
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "ExecutionRoleArn": ROLE,
                    "PrimaryContainer": {
                        "Image": image,
                        "ModelDataUrl": model_data,
                        "Environment": {"RERANK_THREADS": "1", **environment},
                    },
                },
            },
        },
        "Outputs": {"EndpointName": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}}},
    }
