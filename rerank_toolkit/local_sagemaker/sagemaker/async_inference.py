"""InvokeEndpointAsync: the request is taken and told where its answer will be, and queued for the container."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from werkzeug.datastructures import Headers

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.protocol import ApiError
from rerank_toolkit.local_sagemaker.sagemaker.async_queue import (
    DEFAULT_CONCURRENCY,
    MOST_THREADS,
    AsyncQueue,
    AsyncRequest,
)
from rerank_toolkit.local_sagemaker.sagemaker.async_results import AsyncResults
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member, Replaced
from rerank_toolkit.local_sagemaker.sagemaker.host import Host, NoCapacity
from rerank_toolkit.local_sagemaker.sagemaker.invocation import NO_ANSWER, Invocation, call
from rerank_toolkit.local_sagemaker.sagemaker.metrics import Dimensions, Metrics
from rerank_toolkit.local_sagemaker.sagemaker.s3_uri import parse_s3_uri

INLINE_BYTES = 128_000
"""Of a body that is sent with the request. botocore's service model, 1.44."""
DEFAULT_TIMEOUT_S, DEFAULT_TIME_TO_LIVE_S = 900, 21_600
"""The same model's."""

_BETWEEN_FLEETS_S = 0.1
_H = "X-Amzn-SageMaker-"


class AsyncInference:
    def __init__(self, clients: Clients, host: Host, metrics: Metrics, *, region: str) -> None:
        self._clients = clients
        self._host = host
        self._metrics = metrics
        self._results = AsyncResults(clients, metrics, region=region)

    def make_queue(self, endpoint: Endpoint) -> AsyncQueue:
        return AsyncQueue(
            endpoint.name,
            capacity=lambda: _capacity(endpoint),
            work=lambda request: self._work(endpoint, request),
            expire=lambda request: self._expire(endpoint, request),
        )

    def accept(self, endpoint: Endpoint, headers: Headers, body: bytes) -> AsyncRequest:
        """Queues the request of InvokeEndpointAsync; raises ApiError."""
        queue, config = endpoint.queue, endpoint.asynchronous
        if queue is None or config is None:
            raise ApiError("ValidationError", f"Endpoint {endpoint.name} is not asynchronous; use InvokeEndpoint.")
        location = headers.get(f"{_H}InputLocation")
        if bool(location) == bool(body):
            raise ApiError("ValidationError", "Exactly one of Body and InputLocation must be given.")
        if len(body) > INLINE_BYTES:
            raise ApiError(
                "ValidationError",
                f"Body has {len(body)} bytes; at most {INLINE_BYTES} may be sent, more must lie at an InputLocation.",
            )
        request = _read_request(config["OutputConfig"], headers, body, location)
        queue.put(request)
        return request

    def _work(self, endpoint: Endpoint, request: AsyncRequest) -> bool:
        """False if the container was taken away before it had answered: the request goes back into the queue."""
        picked = endpoint.pick()
        if picked is None:
            time.sleep(_BETWEEN_FLEETS_S)
            return False
        member = picked[1]
        waited_s = request.age_s
        body = self._download(endpoint, request, member)
        if body is None:
            return True
        try:
            with self._host.use(endpoint.name, member) as (container, _), member.admitted():
                answer = call(container, Invocation(body, request.headers, request.timeout_s))
                taken_away = answer.status == NO_ANSWER and (member.running is None or member.running.stopping)
        except (Replaced, NoCapacity):
            return False
        if taken_away:
            return False
        times = {"ModelLatency": answer.seconds * 1e6, "TimeInBacklog": waited_s * 1e6}
        errors = {
            "Invocation4XXErrors": float(400 <= answer.status < 500),
            "Invocation5XXErrors": float(answer.status >= 500),
        }
        self._metrics.add(times, member.places, unit="Microseconds")
        self._metrics.add(errors, member.places)
        self._results.finish(endpoint, request, member, answer)
        self._metrics.add({"TotalProcessingTime": request.age_s * 1e3}, member.places, unit="Milliseconds")
        return True

    def _download(self, endpoint: Endpoint, request: AsyncRequest, member: Member) -> bytes | None:
        """None if it could not be had, which the caller has been told by then."""
        if request.body is not None:
            return request.body
        place = parse_s3_uri(request.input_location or "")
        started = time.perf_counter()
        try:
            body: bytes = self._clients("s3").get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
        except (ClientError, BotoCoreError) as error:
            self._metrics.add({"RequestDownloadFailures": 1.0}, member.places, unit="Count")
            self._results.fail(endpoint, request, member, f"Failed to download {place}: {error}")
            return None
        seconds = time.perf_counter() - started
        self._metrics.add({"RequestDownloadLatency": seconds * 1e6}, member.places, unit="Microseconds")
        return body

    def _expire(self, endpoint: Endpoint, request: AsyncRequest) -> None:
        picked = endpoint.pick()
        member = picked[1] if picked else None
        if member is not None:
            self._metrics.add({"ExpiredRequests": 1.0}, member.places, unit="Count")
        why = f"The request waited longer than the {request.time_to_live_s:g} seconds that it may."
        self._results.fail(endpoint, request, member, why)


def backlog(endpoint: Endpoint) -> tuple[dict[str, float], Dimensions]:
    """What CloudWatch is told of an asynchronous endpoint's queue, and under which dimension: the name alone."""
    queue = endpoint.queue
    size, waiting = (len(queue), queue.waiting) if queue else (0, 0)
    return {
        "ApproximateBacklogSize": float(size),
        "ApproximateBacklogSizePerInstance": size / max(1, endpoint.instances),
        "HasBacklogWithoutCapacity": float(waiting > 0 and endpoint.instances == 0),
    }, {"EndpointName": endpoint.name}


def _capacity(endpoint: Endpoint) -> int:
    """Requests at once: those that each instance takes, by the number of instances."""
    fleet = endpoint.fleet
    instances = sum(member.count for member in fleet.members if member.answers) if fleet else 0
    client = (endpoint.asynchronous or {}).get("ClientConfig", {})
    each = client.get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY)
    return min(MOST_THREADS, int(each) * instances)


def _read_request(output: Mapping[str, Any], headers: Headers, body: bytes, location: str | None) -> AsyncRequest:
    try:
        if location:
            parse_s3_uri(location)
        time_to_live_s = int(headers.get(f"{_H}RequestTTLSeconds", DEFAULT_TIME_TO_LIVE_S))
        timeout_s = int(headers.get(f"{_H}InvocationTimeoutSeconds", DEFAULT_TIMEOUT_S))
    except ValueError as error:
        raise ApiError("ValidationError", str(error)) from None
    passed_on = {
        "Content-Type": headers.get(f"{_H}Content-Type"),
        "Accept": headers.get(f"{_H}Accept"),
        f"{_H}Custom-Attributes": headers.get(f"{_H}Custom-Attributes"),
    }
    inference_id = headers.get(f"{_H}Inference-Id") or str(uuid.uuid4())
    stem = str(uuid.uuid4())
    folder = headers.get(f"{_H}S3OutputPathExtension", "").strip("/")
    name = headers.get(f"{_H}Filename") or f"{stem}.out"
    failures = output.get("S3FailurePath")
    return AsyncRequest(
        inference_id=inference_id,
        headers={
            **{header: value for header, value in passed_on.items() if value},
            f"{_H}Inference-Id": inference_id,
        },
        body=body or None,
        input_location=location,
        output_location=str(parse_s3_uri(output["S3OutputPath"]).below(f"{folder}/{name}".lstrip("/"))),
        failure_location=str(parse_s3_uri(failures).below(f"{stem}-error.out")) if failures else None,
        time_to_live_s=float(time_to_live_s),
        timeout_s=float(timeout_s),
    )
