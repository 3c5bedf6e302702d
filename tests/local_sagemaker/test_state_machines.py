"""A state machine of a template, whose executions run transform jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import IMAGE, ROLE, LocalAws
from .resources import bucket

REQUESTS = [{"query": f"question {number}", "documents": ["this one", "another"]} for number in range(3)]


def job(model: Any) -> dict[str, Any]:
    """What a transform job is asked, its data and name taken from the execution."""
    return {
        "ModelName": model,
        "TransformJobName.$": "$.name",
        "BatchStrategy": "SingleRecord",
        "TransformInput": {
            "ContentType": "application/json",
            "SplitType": "Line",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri.$": "$.input"}},
        },
        "TransformOutput": {"S3OutputPath.$": "$.output", "Accept": "application/json", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
    }


def template(model_data: str, *, action: str = "createTransformJob.sync", **environment: str) -> dict[str, Any]:
    state = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::sagemaker:{action}",
        "Parameters": job("${Model}"),
        "ResultSelector": {"Status.$": "$.TransformJobStatus", "Ended.$": "$.TransformEndTime"},
        "End": True,
    }
    container = {"Image": IMAGE, "ModelDataUrl": model_data, "Environment": {"RERANK_THREADS": "1", **environment}}
    return {
        "Resources": {
            "Data": bucket("batch-data"),
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {"ExecutionRoleArn": ROLE, "PrimaryContainer": container},
            },
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "RoleArn": ROLE,
                    "DefinitionString": json.dumps({"StartAt": "Score", "States": {"Score": state}}),
                    "DefinitionSubstitutions": {"Model": {"Fn::GetAtt": ["Model", "ModelName"]}},
                    "TracingConfiguration": {"Enabled": True},
                    "Tags": [{"Key": "team", "Value": "search"}],
                },
            },
        },
        "Outputs": {"Machine": {"Value": {"Ref": "Machine"}}},
    }


@pytest.fixture(scope="module")
def machine(local_aws: LocalAws, model_data: str) -> Iterator[str]:
    stack = local_aws.deploy("batch", template(model_data))
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons("batch")
    lines = "\n".join(json.dumps(request) for request in REQUESTS)
    s3 = local_aws.client("s3")
    s3.put_object(Bucket="batch-data", Key="in/requests.jsonl", Body=lines.encode())
    s3.put_object(Bucket="batch-data", Key="bad/requests.jsonl", Body=b'{"query": "no documents"}')
    yield stack["Outputs"][0]["OutputValue"]
    for entry in s3.list_objects_v2(Bucket="batch-data").get("Contents", ()):
        s3.delete_object(Bucket="batch-data", Key=entry["Key"])
    local_aws.delete("batch")


def run(local_aws: LocalAws, machine: str, name: str, folder: str = "in") -> dict[str, Any]:
    """Starts an execution and waits for its end."""
    states = local_aws.client("stepfunctions")
    data = {"name": name, "input": f"s3://batch-data/{folder}/", "output": f"s3://batch-data/{name}-out"}
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(data))["executionArn"]
    while (execution := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(0.1)
    ended: dict[str, Any] = execution
    return ended


@pytest.fixture(scope="module")
def scored(local_aws: LocalAws, machine: str) -> dict[str, Any]:
    return run(local_aws, machine, "scores")


def test_an_execution_scores_every_line_and_tells_of_the_job(local_aws: LocalAws, scored: dict[str, Any]) -> None:
    assert scored["status"] == "SUCCEEDED", scored
    output = json.loads(scored["output"])
    assert output["Status"] == "Completed"
    assert time.time() - output["Ended"] / 1000 < 60, "times are milliseconds"
    body = local_aws.client("s3").get_object(Bucket="batch-data", Key="scores-out/requests.jsonl.out")["Body"].read()
    answers = [json.loads(line) for line in body.decode().splitlines()]
    assert len(answers) == len(REQUESTS)
    assert all(sorted(result["index"] for result in answer["results"]) == [0, 1] for answer in answers)


def test_a_job_that_fails_fails_the_execution_with_its_description(local_aws: LocalAws, machine: str) -> None:
    execution = run(local_aws, machine, "fails", "bad")
    assert execution["status"] == "FAILED"
    assert execution["error"] == "States.TaskFailed"
    job = json.loads(execution["cause"])
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"]


def test_a_job_that_is_refused_fails_the_execution_with_sagemakers_words(
    local_aws: LocalAws, machine: str, scored: dict[str, Any]
) -> None:
    execution = run(local_aws, machine, "scores")
    assert execution["status"] == "FAILED"
    assert execution["error"].startswith("SageMaker.")
    assert "scores" in execution["cause"]


def test_an_execution_that_is_stopped_stops_its_job(local_aws: LocalAws, machine: str) -> None:
    states, sagemaker = local_aws.client("stepfunctions"), local_aws.client("sagemaker")
    lines = "\n".join(json.dumps(REQUESTS[0]) for _ in range(20_000))
    local_aws.client("s3").put_object(Bucket="batch-data", Key="long/requests.jsonl", Body=lines.encode())
    data = {"name": "stopped", "input": "s3://batch-data/long/", "output": "s3://batch-data/stopped-out"}
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(data))["executionArn"]

    def status() -> str:
        return str(sagemaker.describe_transform_job(TransformJobName="stopped")["TransformJobStatus"])

    while not sagemaker.list_transform_jobs(NameContains="stopped")["TransformJobSummaries"]:
        time.sleep(0.1)
    states.stop_execution(executionArn=arn)
    while status() in ("InProgress", "Stopping"):
        time.sleep(0.1)
    assert status() == "Stopped"
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"


def test_a_machine_changes_in_place(local_aws: LocalAws, machine: str, model_data: str) -> None:
    changed = template(model_data, RERANK_TOKEN_BUDGET="512")
    definition = changed["Resources"]["Machine"]["Properties"]
    definition["Tags"] = [{"Key": "team", "Value": "ranking"}]
    del definition["TracingConfiguration"]
    stack = local_aws.deploy("batch", changed, update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("batch")
    assert stack["Outputs"][0]["OutputValue"] == machine
    states = local_aws.client("stepfunctions")
    described = states.describe_state_machine(stateMachineArn=machine)
    model = local_aws.physical_ids("batch")["Model"].rpartition("/")[2]
    assert model in described["definition"].lower(), "the new model took the place of the old"
    assert described["tracingConfiguration"] == {"enabled": False}
    assert states.list_tags_for_resource(resourceArn=machine)["tags"] == [{"key": "team", "value": "ranking"}]


def test_a_job_that_the_local_aws_does_not_have_is_refused_before_anything_runs(local_aws: LocalAws) -> None:
    state = {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync", "End": True}
    definition = json.dumps({"StartAt": "Train", "States": {"Train": state}})
    with pytest.raises(ClientError, match="createTrainingJob") as raised:
        local_aws.client("stepfunctions").create_state_machine(name="trains", definition=definition, roleArn=ROLE)
    assert raised.value.response["Error"]["Code"] == "InvalidDefinition"


def test_an_execution_tells_a_topic(local_aws: LocalAws) -> None:
    topic = local_aws.client("sns").create_topic(Name="jobs-done")["TopicArn"]
    queue = local_aws.client("sqs").create_queue(QueueName="jobs-done")["QueueUrl"]
    attributes = local_aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    local_aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    publish = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish",
        "Parameters": {"TopicArn": topic, "Message.$": "$.name"},
        "End": True,
    }
    definition = json.dumps({"StartAt": "Tell", "States": {"Tell": publish}})
    states = local_aws.client("stepfunctions")
    machine = states.create_state_machine(name="tells", definition=definition, roleArn=ROLE)["stateMachineArn"]
    assert run(local_aws, machine, "all-done")["status"] == "SUCCEEDED"
    (message,) = local_aws.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert json.loads(message["Body"])["Message"] == "all-done"
