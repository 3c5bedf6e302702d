"""sagemaker-runtime: an invocation goes to the container, its answer or its error comes back as SageMaker tells it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import urllib3
from werkzeug.wrappers import Request, Response

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint, Running

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = re.compile(r"/endpoints/(?P<endpoint>[^/]+)/(?P<kind>invocations|async-invocations|invocations-response-stream)")

_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_VARIANT = "X-Amzn-SageMaker-Target-Variant"
# What SageMaker hands on to a container; other headers of a POST are stripped.
_PASSED_ON = (
    "Content-Type",
    "Accept",
    _ATTRIBUTES,
    "X-Amzn-SageMaker-Inference-Id",
    "X-Amzn-SageMaker-Session-Id",
    "X-Amzn-SageMaker-Target-Model",
)
_CHUNK_BYTES = 1 << 20

Observe = Callable[[Endpoint, Running, int, float], None]
"""Endpoint, variant, status of the answer, seconds that the container took."""


class Runtime:
    """Answers the paths of sagemaker-runtime."""

    def __init__(
        self, find_endpoint: Callable[[str], Endpoint | None], *, region: str, account: str, observe: Observe
    ) -> None:
        self._find_endpoint = find_endpoint
        self._account = account
        self._logs = f"arn:aws:logs:{region}:{account}:log-group:/aws/sagemaker/Endpoints"
        self._observe = observe

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        match = PATH.fullmatch(request.path)
        if match is None or match["kind"] != "invocations":
            response = _error(
                400, "ValidationError", f"the local AWS has no {match['kind'] if match else request.path}"
            )
        else:
            response = self._invoke(request, match["endpoint"])
        return response(environ, start_response)

    def _invoke(self, request: Request, name: str) -> Response:
        limits = load_limits().realtime
        length = request.content_length
        if length is None or length > limits.payload_bytes:
            _discard(request)
            shown = "without a length" if length is None else f"of {length} bytes"
            return _error(
                413, "ValidationError", f"A body {shown} is refused; at most {limits.payload_mb} MB are accepted."
            )
        body = request.get_data()
        endpoint = self._find_endpoint(name)
        if endpoint is None:
            return _error(400, "ValidationError", f"Endpoint {name} of account {self._account} not found.")
        fleet = endpoint.fleet
        if fleet is None or endpoint.status == "Failed":
            reason = f" {endpoint.failure}" if endpoint.failure else ""
            return _error(400, "ValidationError", f"Endpoint {name} is {endpoint.status}, not InService.{reason}")
        wanted = request.headers.get(_VARIANT)
        member = fleet.pick(wanted)
        if member is None:
            return _error(400, "ValidationError", f"Variant {wanted} not found for endpoint {name}.")
        return self._forward(request, body, endpoint, member, limits.timeout_s)

    def _forward(self, request: Request, body: bytes, endpoint: Endpoint, member: Running, timeout_s: int) -> Response:
        headers = {header: request.headers[header] for header in _PASSED_ON if header in request.headers}
        started = time.perf_counter()
        timeout = urllib3.Timeout(total=timeout_s)
        try:
            answer = member.container.pool.request("POST", "/invocations", body=body, headers=headers, timeout=timeout)
        except urllib3.exceptions.TimeoutError:
            self._observe(endpoint, member, 504, time.perf_counter() - started)
            return self._model_error(
                endpoint,
                0,
                "Your invocation timed out while waiting for a response from container primary. "
                "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again.",
            )
        except urllib3.exceptions.HTTPError as error:
            self._observe(endpoint, member, 502, time.perf_counter() - started)
            return self._model_error(
                endpoint, 0, f"The container does not answer: {error}. Its log: {member.container.log}"
            )
        self._observe(endpoint, member, answer.status, time.perf_counter() - started)
        if answer.status >= 400:
            return self._model_error(endpoint, answer.status, answer.data.decode("utf-8", errors="replace"))
        passed_back = {
            "Content-Type": answer.headers.get("Content-Type", "application/octet-stream"),
            "x-Amzn-Invoked-Production-Variant": member.variant.name,
        }
        if _ATTRIBUTES in answer.headers:
            passed_back[_ATTRIBUTES] = answer.headers[_ATTRIBUTES]
        return Response(answer.data, status=200, headers=passed_back)

    def _model_error(self, endpoint: Endpoint, status: int, original: str) -> Response:
        """424, as boto3 sees every failure of a container; status 0: there was no answer at all."""
        group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
        side = "client" if 400 <= status < 500 else "server"
        document = {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if side == "client" else "SERVER_ERROR_FROM_MODEL",
            "LogStreamArn": f"{self._logs}/{endpoint.name}",
            "Message": f'Received {side} error ({status}) from primary with message "{original}". See {group} for more '
            "information.",
            "OriginalMessage": original,
            "OriginalStatusCode": status,
        }
        return _answer(424, "ModelError", document)


def _discard(request: Request) -> None:
    """Reads what is being sent: closing the connection in the middle would hide the answer from the caller."""
    while request.stream.read(_CHUNK_BYTES):
        pass


def _error(status: int, code: str, message: str) -> Response:
    return _answer(status, code, {"Message": message})


def _answer(status: int, code: str, document: object) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return Response(json.dumps(document), status=status, headers=headers)
