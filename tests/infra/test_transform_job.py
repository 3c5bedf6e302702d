"""A batch job: the state machine that starts it, and what that may do."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from infra.checks import check_plan
from infra.outputs import EXAMPLE
from infra.transform_job import job_prefix
from rerank_toolkit.contracts.plan import ModelPackageArtifact, S3Artifact

from .intrinsics import as_text

MACHINE = "AWS::StepFunctions::StateMachine"
JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""TransformJobName in SageMaker's service model."""


@pytest.fixture
def job(deployment):
    def make(**changes):
        return deployment(**({"stack": "RerankNightly", "mode": "batch", "instance": "ml.c5.xlarge"} | changes))

    return make


def _definition(template):
    return json.loads(as_text(template.one(MACHINE)["DefinitionString"]))


def _parameters(template):
    return _definition(template)["States"]["Transform"]["Parameters"]


def test_the_machine_starts_a_job_and_waits_for_it(render, job):
    task = _definition(render(job()))["States"]["Transform"]
    assert task["Resource"] == "arn:aws:states:::sagemaker:createTransformJob.sync"
    assert task["End"] is True


def test_folders_come_with_each_execution_and_lie_in_the_deployments_own(render, job):
    parameters = _parameters(render(job()))
    source = parameters["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri.$"]
    assert source == "States.Format('s3://<bucket>/RerankNightly/input/{}', $.input)"
    assert parameters["TransformOutput"]["S3OutputPath.$"] == (
        "States.Format('s3://<bucket>/RerankNightly/output/{}', $.output)"
    )


def test_an_execution_without_folders_fails_with_words(render, job):
    states = _definition(render(job()))["States"]
    assert states["Check"]["Default"] == "Refuse"
    assert [given["Variable"] for given in states["Check"]["Choices"][0]["And"]] == ["$.input", "$.output"]
    assert states["Refuse"]["Type"] == "Fail"
    assert '{"input": "FOLDER/", "output": "FOLDER/"}' in states["Refuse"]["Cause"]


def test_lines_go_in_and_come_out(render, job):
    parameters = _parameters(render(job()))
    assert parameters["BatchStrategy"] == "MultiRecord"
    assert parameters["TransformInput"]["SplitType"] == "Line"
    assert (
        parameters["TransformInput"]["ContentType"]
        == parameters["TransformOutput"]["Accept"]
        == ("application/jsonlines")
    )


def test_what_the_plan_leaves_open_the_container_is_asked(render, job):
    open_, said = (
        _parameters(render(job(**changes))) for changes in ({}, {"concurrency": 4, "largest_request_mb": 9.2})
    )
    assert "MaxConcurrentTransforms" not in open_
    assert "MaxPayloadInMB" not in open_
    assert (said["MaxConcurrentTransforms"], said["MaxPayloadInMB"]) == (4, 10)


def test_sagemaker_and_the_container_wait_equally_long(render, job):
    template = render(job(environment={"RERANK_TIME_LIMIT_S": "900"}))
    assert _parameters(template)["ModelClientConfig"] == {"InvocationsTimeoutInSeconds": 900}
    assert template.one("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]["RERANK_TIME_LIMIT_S"] == "900"


def test_volumes_and_answers_are_under_our_key(render, job):
    parameters = _parameters(render(job()))
    assert parameters["TransformOutput"]["KmsKeyId"] == parameters["TransformResources"]["VolumeKmsKeyId"] == "<key>"


def test_an_instance_with_nvme_encrypts_it_itself(render, job):
    package = ModelPackageArtifact(arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/reranker-v2")
    parameters = _parameters(render(job(instance="ml.g5.xlarge", dtype="fp16", artifact=package, image=None)))
    assert parameters["TransformOutput"]["KmsKeyId"] == "<key>"
    assert "VolumeKmsKeyId" not in parameters["TransformResources"]


def test_the_bill_tells_whose_job_it_was(render, job):
    tags = {tag["Key"]: tag["Value"] for tag in _parameters(render(job()))["Tags"]}
    assert tags == {"project": "rerank-toolkit", "plan": "spring", "model": "jina-reranker-v1-tiny-en"}


def test_it_costs_nothing_while_it_waits(render, job):
    """No endpoint, no instance: what stands is billed by use."""
    kinds = {resource["Type"] for resource in render(job())["Resources"].values()}
    assert {"AWS::SageMaker::Model", MACHINE, "AWS::Logs::LogGroup"} <= kinds
    assert not kinds & {
        "AWS::SageMaker::Endpoint",
        "AWS::SageMaker::EndpointConfig",
        "AWS::CloudFormation::CustomResource",
    }


@pytest.mark.parametrize(
    "stack", ["R", "RerankNightly", "Rerank-a--b", "A-stack-with-a-name-of-26--and-more-than-a-job-s-name-has-room"]
)
def test_jobs_are_named_as_sagemaker_takes_it_and_as_the_role_may(render, job, stack):
    name = f"{job_prefix(stack)}-{'0a1b2c3d-0a1b-4c2d-8e3f-0a1b2c3d4e5f'}"
    assert JOB_NAME.fullmatch(name)
    assert name == name.lower()
    template = render(job(stack=stack))
    assert _parameters(template)["TransformJobName.$"] == f"States.Format('{job_prefix(stack)}-{{}}', States.UUID())"
    assert f"transform-job/{job_prefix(stack)}-*" in json.dumps(template["Resources"])


def test_the_command_brings_a_request_and_starts_a_job(render, job):
    outputs = render(job())["Outputs"]
    body, _, rest = as_text(outputs["StartCommand"]["Value"]).partition(" | ")
    upload, start = (shlex.split(part) for part in rest.split(" && "))
    assert json.loads(shlex.split(body)[1]) == EXAMPLE
    assert upload[:5] == ["aws", "s3", "cp", "-", "s3://<bucket>/RerankNightly/input/example/requests.jsonl"]
    assert start[:3] == ["aws", "stepfunctions", "start-execution"]
    assert json.loads(start[start.index("--input") + 1]) == {"input": "example/", "output": "example/"}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("count", {"count": 0}),
        ("concurrency", {"concurrency": 0}),
        ("concurrency", {"concurrency": 17}),  # times the 6 MB of a payload
        ("concurrency", {"concurrency": 2, "largest_request_mb": 50.1}),
        ("largest_request_mb", {"largest_request_mb": 101.0}),
        ("artifact.uri", {"artifact": S3Artifact(uri="s3://models/tiny/")}),
        ("instance", {"instance": "ml.g5.xlarge", "dtype": "fp16"}),
        ("environment", {"environment": {"RERANK_TIME_LIMIT_S": "3601"}}),
    ],
)
def test_a_faulty_one_is_refused_by_field(plan, job, field, changes):
    assert [fault.field for fault in check_plan(plan(job(**changes)))] == [f"deployments[0].{field}"]


def test_payloads_that_just_fit_are_taken(plan, job):
    assert check_plan(plan(job(concurrency=2, largest_request_mb=50.0))) == []
    assert check_plan(plan(job(concurrency=16))) == []
