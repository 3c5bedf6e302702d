"""Asynchronous endpoints: from S3 to S3, told through SNS, held in a queue while there are no instances."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from threading import Event
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.sagemaker.async_queue import AsyncQueue, AsyncRequest

from .conftest import LocalAws
from .serving import (
    BODY,
    containers_of,
    eventually,
    invoke,
    make_config,
    make_endpoint,
    make_model,
    metric_sum,
    remove_endpoint,
    settled,
    variant,
)

ENDPOINT = "queued"


@pytest.fixture(scope="module")
def told(local_aws: LocalAws) -> Iterator[dict[str, str]]:
    """ARNs of a topic for successes and one for errors, and the URL of the queue that hears both."""
    sns, sqs = local_aws.client("sns"), local_aws.client("sqs")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topics = {name: sns.create_topic(Name=name)["TopicArn"] for name in ("successes", "errors")}
    for topic in topics.values():
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    yield {**topics, "url": url}
    for topic in topics.values():
        sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def queued(local_aws: LocalAws, model_data: str, told: dict[str, str]) -> Iterator[str]:
    local_aws.client("s3").create_bucket(Bucket="asked-and-answered")
    config = {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
        "OutputConfig": {
            "S3OutputPath": "s3://asked-and-answered/answers/",
            "S3FailurePath": "s3://asked-and-answered/failures",
            "NotificationConfig": {
                "SuccessTopic": told["successes"],
                "ErrorTopic": told["errors"],
                "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"],
            },
        },
    }
    make_config(local_aws, ENDPOINT, variant(make_model(local_aws, ENDPOINT, model_data)), AsyncInferenceConfig=config)
    endpoint = make_endpoint(local_aws, ENDPOINT, ENDPOINT)
    assert endpoint["AsyncInferenceConfig"] == config
    yield ENDPOINT
    remove_endpoint(local_aws, ENDPOINT)


def ask(local_aws: LocalAws, body: bytes | None = BODY, **options: Any) -> dict[str, Any]:
    """Puts the body into S3 and asks for an answer to it; without a body `options` say where it is."""
    if body is not None:
        key = f"questions/{uuid.uuid4()}.json"
        local_aws.client("s3").put_object(Bucket="asked-and-answered", Key=key, Body=body)
        options["InputLocation"] = f"s3://asked-and-answered/{key}"
    taken: dict[str, Any] = local_aws.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=ENDPOINT, ContentType="application/json", **options
    )
    assert taken["ResponseMetadata"]["HTTPStatusCode"] == 202
    return taken


def read(local_aws: LocalAws, location: str) -> bytes | None:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    s3 = local_aws.client("s3")
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return content


def message(local_aws: LocalAws, url: str) -> Mapping[str, Any]:
    """The next that SNS has sent."""
    sqs = local_aws.client("sqs")
    received = eventually(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    sqs.delete_message(QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"])
    document: Mapping[str, Any] = json.loads(json.loads(received[0]["Body"])["Message"])
    return document


def test_an_answer_lies_where_it_was_promised_and_a_message_tells(
    local_aws: LocalAws, queued: str, told: dict[str, str]
) -> None:
    taken = ask(local_aws, InferenceId="first", CustomAttributes="trace=1")
    assert taken["InferenceId"] == "first"
    assert taken["OutputLocation"].startswith("s3://asked-and-answered/answers/")
    answer = json.loads(eventually(lambda: read(local_aws, taken["OutputLocation"])))
    assert sorted(result["index"] for result in answer["results"]) == [0, 1, 2]

    event = message(local_aws, told["url"])
    assert event["invocationStatus"] == "Completed"
    assert event["inferenceId"] == "first"
    assert event["requestParameters"]["endpointName"] == queued
    assert event["requestParameters"]["customAttributes"] == "trace=1"
    assert event["responseParameters"]["outputLocation"] == taken["OutputLocation"]
    assert event["responseBody"]["encoding"] == "BASE64"
    assert (event["eventSource"], event["eventName"]) == ("aws:sagemaker", "InferenceResult")


def test_a_small_body_may_come_with_the_request_and_name_its_answers_file(
    local_aws: LocalAws, queued: str, told: dict[str, str]
) -> None:
    taken = ask(local_aws, None, Body=BODY, S3OutputPathExtension="today", Filename="mine.json")
    assert taken["OutputLocation"] == "s3://asked-and-answered/answers/today/mine.json"
    assert json.loads(eventually(lambda: read(local_aws, taken["OutputLocation"])))["results"]
    assert message(local_aws, told["url"])["invocationStatus"] == "Completed"


def test_what_the_container_refuses_is_told_and_kept_as_a_failure(
    local_aws: LocalAws, queued: str, told: dict[str, str]
) -> None:
    taken = ask(local_aws, b'{"query": "no documents"}')
    failure = json.loads(eventually(lambda: read(local_aws, taken["FailureLocation"])))
    assert "documents" in json.dumps(failure), "the container's own words"
    event = message(local_aws, told["url"])
    assert event["invocationStatus"] == "Failed"
    assert event["failureReason"].startswith("ClientError: Received client error (422) from model.")
    assert event["responseParameters"]["outputLocation"] == taken["FailureLocation"]
    assert "responseBody" not in event
    assert read(local_aws, taken["OutputLocation"]) is None


def test_a_body_that_is_not_there_fails_later_and_not_at_once(
    local_aws: LocalAws, queued: str, told: dict[str, str]
) -> None:
    ask(local_aws, None, InputLocation="s3://asked-and-answered/no-such.json")
    event = message(local_aws, told["url"])
    assert "Failed to download s3://asked-and-answered/no-such.json" in event["failureReason"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "Exactly one of Body and InputLocation"),
        ({"Body": BODY, "InputLocation": "s3://asked-and-answered/any"}, "Exactly one of Body and InputLocation"),
        ({"Body": b"x" * 128_001}, "128001 bytes; at most 128000"),
    ],
)
def test_a_request_that_cannot_be_taken_is_refused(
    local_aws: LocalAws, queued: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientError, match=said) as raised:
        ask(local_aws, None, **options)
    assert raised.value.response["Error"]["Code"] == "ValidationError"


def test_neither_kind_of_endpoint_answers_calls_for_the_other(local_aws: LocalAws, queued: str) -> None:
    with pytest.raises(ClientError, match="use InvokeEndpointAsync"):
        invoke(local_aws, queued)


def test_without_instances_the_queue_waits_and_a_step_policy_wakes_the_endpoint(
    local_aws: LocalAws, queued: str, told: dict[str, str]
) -> None:
    sagemaker = local_aws.client("sagemaker")
    nobody = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=queued, DesiredWeightsAndCapacities=nobody)
    endpoint = settled(local_aws, queued)
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 0
    assert containers_of(local_aws, queued) == {}

    taken = [ask(local_aws) for _ in range(5)]
    place = {"EndpointName": queued}
    eventually(lambda: metric_sum(local_aws, "HasBacklogWithoutCapacity", **place) > 0)
    eventually(lambda: metric_sum(local_aws, "ApproximateBacklogSizePerInstance", **place) >= 5)
    assert read(local_aws, taken[0]["OutputLocation"]) is None

    scaling = local_aws.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{queued}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    policy = scaling.put_scaling_policy(
        **target,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
            "Cooldown": 300,
        },
    )["PolicyARN"]
    local_aws.client("cloudwatch").put_metric_alarm(
        AlarmName="wake",
        AlarmActions=[policy],
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": queued}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
    )
    for request in taken:
        assert eventually(lambda request=request: read(local_aws, request["OutputLocation"]))
        message(local_aws, told["url"])
    assert settled(local_aws, queued)["ProductionVariants"][0]["CurrentInstanceCount"] == 1


def test_an_update_loses_no_request(local_aws: LocalAws, queued: str, model_data: str) -> None:
    sagemaker = local_aws.client("sagemaker")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=queued)["AsyncInferenceConfig"]
    del config["OutputConfig"]["NotificationConfig"]
    model = make_model(local_aws, "queued-2", model_data)
    make_config(local_aws, "queued-2", variant(model), AsyncInferenceConfig=config)
    suspended = psutil.Process(containers_of(local_aws, queued)["AllTraffic"])
    suspended.suspend()  # so that some are in it when it is taken away
    taken = [ask(local_aws) for _ in range(6)]
    sagemaker.update_endpoint(EndpointName=queued, EndpointConfigName="queued-2")
    assert settled(local_aws, queued)["EndpointConfigName"] == "queued-2"
    suspended.kill()
    for request in taken:
        assert json.loads(eventually(lambda request=request: read(local_aws, request["OutputLocation"])))["results"]


def request(name: str, *, time_to_live_s: float = 60.0) -> AsyncRequest:
    return AsyncRequest(name, {}, b"", None, "s3://any/any", None, time_to_live_s=time_to_live_s, timeout_s=1.0)


def test_a_queue_keeps_to_its_capacity_and_order_and_drops_what_waited_too_long() -> None:
    capacity, at_once, most = 0, 0, 0
    done: list[str] = []
    expired: list[str] = []
    first = True

    def work(taken: AsyncRequest) -> bool:
        nonlocal at_once, most, first
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.02)
        at_once -= 1
        if taken.inference_id == "1" and first:
            first = False
            return False  # its container was taken away
        done.append(taken.inference_id)
        return True

    queue = AsyncQueue(
        "test", capacity=lambda: capacity, work=work, expire=lambda late: expired.append(late.inference_id)
    )
    for number in range(4):
        queue.put(request(str(number)))
    queue.put(request("late", time_to_live_s=0.0))
    assert len(queue) == 5
    assert queue.oldest_age_s > 0
    eventually(lambda: expired == ["late"])
    assert done == []
    capacity = 1
    queue.wake()
    eventually(lambda: len(done) == 4)
    assert done == ["0", "1", "2", "3"], "what came back was next again"
    assert most == 1
    queue.close()
    assert not Event().wait(0.1)
    assert len(queue) == 0
