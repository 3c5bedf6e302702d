"""A template against what stands, by stock boto3 and the local AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "alerts"}}
ALARM = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocations",
        "Statistic": "Sum",
        "ComparisonOperator": "LessThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "Period": {"Ref": "Period"},
    },
}
PARAMETERS = {"Period": {"Type": "Number", "Default": 60}}


def template(**resources: Any) -> str:
    return json.dumps({"Parameters": PARAMETERS, "Resources": resources})


def rerank(*words: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.cli", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**environment, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", "RERANK_PRICES": "/nowhere"},
    )


@pytest.fixture(scope="module")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment by which the command and boto3 find the local AWS; one stack stands in it."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    state = {**plain, "RERANK_LOCAL_STATE": str(tmp_path_factory.mktemp("local"))}
    up = rerank("local", "up", "--json", environment=state)
    assert up.returncode == 0, up.stderr
    environment = {**state, **json.loads(up.stdout)["environment"]}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        cloudformation = boto3.Session().client("cloudformation")
    cloudformation.create_stack(
        StackName="Watched",
        TemplateBody=template(Topic=TOPIC, Alarm=ALARM),
        Parameters=[{"ParameterKey": "Period", "ParameterValue": "10"}],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="Watched", WaiterConfig={"Delay": 1})
    yield environment
    assert rerank("local", "down", environment=state).returncode == 0


def test_a_stack_that_stands_is_priced_with_its_own_parameters(local_aws, tmp_path):
    """Its alarm looks every 10 seconds, whatever the template's default says; that has a price of its own."""
    (tmp_path / "Watched.template.json").write_text(template(Topic=TOPIC, Alarm=ALARM))

    done = rerank(
        *("cost", "diff", str(tmp_path), "--deployed", "Watched", "--region", "us-east-1", "--json"),
        environment=local_aws,
    )

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {one["id"]: one["change"] for one in document["resources"]} == {"Topic": "unchanged", "Alarm": "changed"}
    assert (document["before"]["monthly_cost"], document["after"]["monthly_cost"]) == (
        {"least": "0.30", "most": "0.30"},
        {"least": "0.10", "most": "0.10"},
    )


def test_what_does_not_stand_yet_is_all_new(local_aws, tmp_path):
    path = tmp_path / "Later.template.json"
    path.write_text(template(Alarm=ALARM))

    done = rerank("cost", "diff", str(path), "--deployed", "Later", "--region", "us-east-1", environment=local_aws)

    assert done.returncode == 0, done.stderr
    assert "Later is not deployed in us-east-1: all of it is new" in done.stderr
    assert "+$0.10" in done.stdout


def test_a_stack_that_the_templates_have_not_is_refused(local_aws, tmp_path):
    (tmp_path / "Watched.template.json").write_text(template(Alarm=ALARM))

    done = rerank(
        *("cost", "diff", str(tmp_path), "--deployed", "Watched", "--deployed", "Wathced", "--region", "us-east-1"),
        environment=local_aws,
    )

    assert done.returncode == 2
    assert "--deployed: is 'Wathced'; it holds Watched" in done.stderr


def test_without_an_answer_it_says_so_and_ends_with_1(tmp_path):
    path = tmp_path / "Stack.template.json"
    path.write_text(template(Alarm=ALARM))
    nobody = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_MAX_ATTEMPTS": "1",
    }

    done = rerank("cost", "diff", str(path), "--deployed", "Stack", "--region", "us-east-1", environment=nobody)

    assert done.returncode == 1
    assert "CloudFormation, of Stack: " in done.stderr
    assert "127.0.0.1:9" in done.stderr


def test_without_credentials_it_says_so_and_ends_with_1(tmp_path):
    path: Path = tmp_path / "Stack.template.json"
    path.write_text(template(Alarm=ALARM))
    nobody = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}

    done = rerank("cost", "diff", str(path), "--deployed", "Stack", "--region", "us-east-1", environment=nobody)

    assert done.returncode == 1
    assert "credentials" in done.stderr
