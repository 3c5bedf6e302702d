"""An asynchronous endpoint: its requests and answers in S3, who hears of them, and what its container is told."""

from __future__ import annotations

import json
import shlex

import msgspec
import pytest

from infra.checks import check_plan
from infra.outputs import EXAMPLE
from rerank_toolkit.contracts.plan import Expectation

from .intrinsics import as_text

TOPIC = "AWS::SNS::Topic"


@pytest.fixture
def asynchronous(deployment):
    def make(**changes):
        return deployment(**({"stack": "RerankQueue", "mode": "async"} | changes))

    return make


def test_answers_and_failures_go_to_folders_of_its_own_under_our_key(render, asynchronous):
    config = render(asynchronous()).one("AWS::SageMaker::EndpointConfig")["AsyncInferenceConfig"]["OutputConfig"]
    assert as_text(config["S3OutputPath"]) == "s3://<bucket>/RerankQueue/output/"
    assert as_text(config["S3FailurePath"]) == "s3://<bucket>/RerankQueue/failures/"
    assert as_text(config["KmsKeyId"]) == "<key>"


def test_one_topic_tells_of_answers_and_another_of_failures(render, asynchronous):
    template = render(asynchronous())
    told = template.one("AWS::SageMaker::EndpointConfig")["AsyncInferenceConfig"]["OutputConfig"]["NotificationConfig"]
    assert told["SuccessTopic"] != told["ErrorTopic"]
    assert {told["SuccessTopic"]["Ref"], told["ErrorTopic"]["Ref"]} == {
        name for name, resource in template["Resources"].items() if resource["Type"] == TOPIC
    }
    for topic in template.resources(TOPIC):
        assert as_text(topic["Properties"]["KmsMasterKeyId"]) == "<key>"
    # Whoever says nothing secure is refused.
    for policy in template.resources("AWS::SNS::TopicPolicy"):
        (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_how_many_requests_an_instance_is_given_is_the_plans_or_left_to_sagemaker(render, asynchronous):
    given, left = (
        render(asynchronous(concurrency=number)).one("AWS::SageMaker::EndpointConfig")["AsyncInferenceConfig"]
        for number in (4, None)
    )
    assert given["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 4}
    assert "ClientConfig" not in left


def test_a_request_has_an_hour(render, asynchronous):
    environment = render(asynchronous()).one("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
    assert float(environment["RERANK_TIME_LIMIT_S"]) == 3600


def test_the_container_reads_bodies_as_large_as_the_plan_expects_and_lets_all_their_tokens_wait(render, asynchronous):
    environment = render(asynchronous(largest_request_mb=199.5, concurrency=3)).one("AWS::SageMaker::Model")[
        "PrimaryContainer"
    ]["Environment"]
    assert float(environment["RERANK_MAX_BODY_MB"]) == 200
    assert int(environment["RERANK_MAX_QUEUED_TOKENS"]) == 600_000_000


def test_an_update_keeps_the_scaled_fleet(render, asynchronous, scaling):
    rule = scaling(min_instances=0, metric="ApproximateBacklogSizePerInstance", target=5.0)
    assert render(asynchronous(scaling=rule)).one("AWS::SageMaker::Endpoint")["RetainAllVariantProperties"] is True


def test_the_command_brings_a_body_and_queues_it(render, asynchronous):
    outputs = render(asynchronous(environment={"RERANK_TIME_LIMIT_S": "1800"}))["Outputs"]
    body, upload, invoke = (
        shlex.split(part)
        for command in [as_text(outputs["InvokeCommand"]["Value"])]
        for part in [command.partition(" | ")[0], *command.partition(" | ")[2].split(" && ")]
    )
    assert json.loads(body[1]) == EXAMPLE
    location = "s3://<bucket>/RerankQueue/input/example.json"
    assert upload[:5] == ["aws", "s3", "cp", "-", location]
    assert invoke[:3] == ["aws", "sagemaker-runtime", "invoke-endpoint-async"]
    assert invoke[invoke.index("--input-location") + 1] == location
    assert invoke[invoke.index("--endpoint-name") + 1] == "RerankQueue"
    assert invoke[invoke.index("--invocation-timeout-seconds") + 1] == "1800"
    assert as_text(outputs["InputPrefix"]["Value"]) == "s3://<bucket>/RerankQueue/input/"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("count", {"count": 0}),
        ("concurrency", {"concurrency": 0}),
        ("concurrency", {"concurrency": 1001}),
        ("largest_request_mb", {"largest_request_mb": 1025.0}),
        ("environment", {"environment": {"RERANK_TIME_LIMIT_S": "3601"}}),
    ],
)
def test_a_faulty_one_is_refused_by_field(plan, asynchronous, field, changes):
    assert [fault.field for fault in check_plan(plan(asynchronous(**changes)))] == [f"deployments[0].{field}"]


def test_bodies_that_memory_does_not_hold_are_refused(plan, asynchronous):
    """ml.c7i.xlarge has 8 GiB: eight bodies of a gigabyte leave no room for a model."""
    expected = Expectation(memory_mib=900.0, basis="measured")
    large = asynchronous(largest_request_mb=1000.0, concurrency=8, expected=expected)
    (fault,) = check_plan(plan(large))
    assert fault.field == "deployments[0].largest_request_mb"
    assert "8 at once" in fault.message
    assert check_plan(plan(msgspec.structs.replace(large, concurrency=4))) == []
