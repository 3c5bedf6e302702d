"""What surrounds the queue of an asynchronous endpoint: requests and answers in S3, and topics that tell of them."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.data_area import FAILURES, INPUT, OUTPUT, DataArea
from infra.encryption_key import use_through
from infra.outputs import EXAMPLE


class AsyncQueue(Construct):
    """The queue itself is SageMaker's.

    A caller puts a body under `input/` and tells the endpoint where. The answer appears under `output/`, or what went
    wrong under `failures/`, and a topic says so.
    """

    def __init__(self, scope: Construct, area: DataArea) -> None:
        super().__init__(scope, "Queue")
        self.area = area
        self.answered = _topic(self, "Answered", area.key)
        self.failed = _topic(self, "Failed", area.key)

    def config(self, concurrency: int | None) -> sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty:
        """concurrency: requests that an instance is given at once; None leaves it to SageMaker."""
        properties = sagemaker.CfnEndpointConfig
        client = properties.AsyncInferenceClientConfigProperty(max_concurrent_invocations_per_instance=concurrency)
        return properties.AsyncInferenceConfigProperty(
            client_config=client if concurrency else None,
            output_config=properties.AsyncInferenceOutputConfigProperty(
                s3_output_path=self.area.uri(OUTPUT),
                s3_failure_path=self.area.uri(FAILURES),
                kms_key_id=self.area.key.key_arn,
                notification_config=properties.AsyncInferenceNotificationConfigProperty(
                    success_topic=self.answered.topic_arn, error_topic=self.failed.topic_arn
                ),
            ),
        )

    def statements(self) -> list[iam.PolicyStatement]:
        """What the execution role needs to fetch requests, store answers and tell of them."""
        return [
            *self.area.use(read=(INPUT,), write=(OUTPUT, FAILURES)),
            iam.PolicyStatement(actions=["sns:Publish"], resources=[self.answered.topic_arn, self.failed.topic_arn]),
            use_through(self.area.key, "sns"),
        ]

    def wildcards(self) -> Mapping[str, str]:
        """Resources of those statements, and of a caller's, that have a * in them, each with its reason."""
        return self.area.wildcards(INPUT, OUTPUT, FAILURES)

    def caller_statements(self) -> list[iam.PolicyStatement]:
        """What a caller needs beside the right to ask the endpoint."""
        return self.area.use(read=(OUTPUT, FAILURES), write=(INPUT,))

    def add_outputs(self, stack: cdk.Stack, endpoint: sagemaker.CfnEndpoint, *, region: str, timeout_s: float) -> None:
        """timeout_s: that the container takes for a request at most."""
        command = invoke_async_command(stack.stack_name, region, f"{self.area.uri(INPUT)}example.json", timeout_s)
        for name, value, description in (
            ("EndpointName", endpoint.attr_endpoint_name, "For boto3's invoke_endpoint_async"),
            ("InputPrefix", self.area.uri(INPUT), "Put requests here"),
            ("OutputPrefix", self.area.uri(OUTPUT), "Answers appear here"),
            ("AnsweredTopicArn", self.answered.topic_arn, "Subscribe to hear of answers"),
            ("FailedTopicArn", self.failed.topic_arn, "Subscribe to hear of failures"),
            ("InvokeCommand", command, "Queues a ranking of two documents, and prints where the answer will be"),
        ):
            cdk.CfnOutput(stack, name, value=value, description=description)
        self.area.acknowledge_outputs(stack)


def invoke_async_command(endpoint: str, region: str, location: str, timeout_s: float) -> str:
    """A line for a shell that puts a body at `location` and queues it.

    Left to itself SageMaker gives a request a quarter of an hour, whatever the container allows.
    """
    upload = f"aws s3 cp - {location} --region {region} --content-type application/json"
    invoke = shlex.join(
        [
            *("aws", "sagemaker-runtime", "invoke-endpoint-async", "--region", region, "--endpoint-name", endpoint),
            *("--content-type", "application/json", "--invocation-timeout-seconds", str(math.floor(timeout_s))),
        ]
    )
    asked = f"{invoke} --input-location {location} --query OutputLocation --output text"
    return f"echo {shlex.quote(json.dumps(EXAMPLE))} | {upload} && {asked}"


def _topic(scope: Construct, id: str, key: kms.IKey) -> sns.Topic:
    return sns.Topic(scope, id, master_key=key, enforce_ssl=True)
