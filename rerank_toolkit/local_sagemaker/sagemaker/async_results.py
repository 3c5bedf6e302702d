"""What becomes of an asynchronous request's answer: an object in S3, a message through SNS, and metrics."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.sagemaker.async_queue import AsyncRequest
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member
from rerank_toolkit.local_sagemaker.sagemaker.invocation import Answer
from rerank_toolkit.local_sagemaker.sagemaker.metrics import Metrics
from rerank_toolkit.local_sagemaker.sagemaker.s3_uri import parse_s3_uri

logger = logging.getLogger(__name__)

_RESPONSE_IN_MESSAGE_BYTES = 128 * 1024
"""AsyncInferenceNotificationConfig.IncludeInferenceResponseIn: "only if the response size is at most 128 KB"."""
_INCLUDED_IN = {"SuccessTopic": "SUCCESS_NOTIFICATION_TOPIC", "ErrorTopic": "ERROR_NOTIFICATION_TOPIC"}


class AsyncResults:
    """`member` is the variant that answered, under which the metrics are counted; None if there was none."""

    def __init__(self, clients: Clients, metrics: Metrics, *, region: str) -> None:
        self._clients = clients
        self._metrics = metrics
        self._region = region

    def finish(self, endpoint: Endpoint, request: AsyncRequest, member: Member, answer: Answer) -> None:
        """The container's answer, good or bad."""
        if answer.status >= 400:
            side = "client" if answer.status < 500 else "server"
            why = answer.failure or (
                f"Received {side} error ({answer.status}) from model. "
                "See the SageMaker Endpoint logs in your account for more information."
            )
            self.fail(endpoint, request, member, why, answer)
            return
        started = time.perf_counter()
        if failed := self._store(endpoint, request.output_location, answer):
            self._count(member, "ResponseUploadFailures")
            self.fail(endpoint, request, member, f"Failed to upload {request.output_location}: {failed}")
            return
        seconds = time.perf_counter() - started
        self._metrics.add({"ResponseUploadLatency": seconds * 1e6}, member.places, unit="Microseconds")
        self._count(member, "InvocationsProcessed")
        message = {
            "invocationStatus": "Completed",
            "responseParameters": {"contentType": answer.content_type, "outputLocation": request.output_location},
        }
        self._notify(endpoint, request, member, topic="SuccessTopic", message=message, answer=answer)

    def fail(
        self, endpoint: Endpoint, request: AsyncRequest, member: Member | None, why: str, answer: Answer | None = None
    ) -> None:
        """`answer` is what the container said, if it said anything."""
        logger.info("asynchronous request %s of %s failed: %s", request.inference_id, endpoint.name, why)
        self._count(member, "InvocationFailures", "InvocationsProcessed")
        message: dict[str, Any] = {"invocationStatus": "Failed", "failureReason": f"ClientError: {why}"}
        if request.failure_location:
            told = answer if answer and answer.body else Answer(0, 0.0, why.encode(), {"Content-Type": "text/plain"})
            if failed := self._store(endpoint, request.failure_location, told):
                logger.warning("the failure of %s was not stored: %s", request.inference_id, failed)
            else:
                message["responseParameters"] = {
                    "contentType": told.content_type,
                    "outputLocation": request.failure_location,
                }
        self._notify(endpoint, request, member, topic="ErrorTopic", message=message, answer=answer)

    def _store(self, endpoint: Endpoint, location: str, answer: Answer) -> str | None:
        """Why it failed; None if it didn't."""
        place = parse_s3_uri(location)
        key = _output(endpoint).get("KmsKeyId")
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        try:
            self._clients("s3").put_object(
                Bucket=place.bucket, Key=place.key, Body=answer.body, ContentType=answer.content_type, **encryption
            )
        except (ClientError, BotoCoreError) as error:
            return str(error)
        return None

    def _notify(
        self,
        endpoint: Endpoint,
        request: AsyncRequest,
        member: Member | None,
        *,
        topic: Literal["SuccessTopic", "ErrorTopic"],
        message: Mapping[str, Any],
        answer: Answer | None,
    ) -> None:
        config = _output(endpoint).get("NotificationConfig", {})
        if topic not in config:
            return
        body = answer.body if answer else b""
        if _INCLUDED_IN[topic] in config.get("IncludeInferenceResponseIn", ()) and (
            0 < len(body) <= _RESPONSE_IN_MESSAGE_BYTES
        ):
            message = {**message, "responseBody": {"content": base64.b64encode(body).decode(), "encoding": "BASE64"}}
        document = {**self._event(endpoint, request), **message}
        try:
            self._clients("sns").publish(TopicArn=config[topic], Message=json.dumps(document))
        except (ClientError, BotoCoreError) as error:
            logger.warning("no notification of %s: %s", request.inference_id, error)
            self._count(member, "NotificationFailures")

    def _event(self, endpoint: Endpoint, request: AsyncRequest) -> dict[str, Any]:
        asked = {
            "contentType": request.headers.get("Content-Type"),
            "accept": request.headers.get("Accept"),
            "customAttributes": request.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
            "endpointName": endpoint.name,
            "inputLocation": request.input_location,
        }
        return {
            "awsRegion": self._region,
            "eventTime": _timestamp(datetime.now(UTC)),
            "receivedTime": _timestamp(request.received),
            "requestParameters": {name: value for name, value in asked.items() if value},
            "inferenceId": request.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }

    def _count(self, member: Member | None, *names: str) -> None:
        if member is not None:
            self._metrics.add(dict.fromkeys(names, 1.0), member.places, unit="Count")


def _output(endpoint: Endpoint) -> Mapping[str, Any]:
    output: Mapping[str, Any] = (endpoint.asynchronous or {}).get("OutputConfig", {})
    return output


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
