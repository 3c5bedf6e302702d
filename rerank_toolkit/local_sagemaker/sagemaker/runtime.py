"""sagemaker-runtime: an invocation goes to the container, its answer or its error comes back as SageMaker tells it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from rerank_toolkit.catalog.limits import RequestLimits, load_limits
from rerank_toolkit.local_sagemaker.protocol import ApiError
from rerank_toolkit.local_sagemaker.sagemaker.async_inference import INLINE_BYTES, AsyncInference
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Fleet, Member, Replaced, Throttled
from rerank_toolkit.local_sagemaker.sagemaker.host import START_FAILURES, Host, NoCapacity
from rerank_toolkit.local_sagemaker.sagemaker.inference_components import Components
from rerank_toolkit.local_sagemaker.sagemaker.invocation import NO_ANSWER, Answer, Invocation, call
from rerank_toolkit.local_sagemaker.sagemaker.metrics import Metrics
from rerank_toolkit.local_sagemaker.sagemaker.observations import observe
from rerank_toolkit.local_sagemaker.sagemaker.shadowing import Shadowing

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = re.compile(r"/endpoints/(?P<endpoint>[^/]+)/(?P<kind>invocations|async-invocations|invocations-response-stream)")

_H = "X-Amzn-SageMaker-"
_ATTRIBUTES = f"{_H}Custom-Attributes"
_VARIANT = f"{_H}Target-Variant"
_COMPONENT = f"{_H}Inference-Component"
# What SageMaker hands on to a container; other headers of a POST are stripped.
_PASSED_ON = (
    "Content-Type",
    "Accept",
    _ATTRIBUTES,
    f"{_H}Inference-Id",
    f"{_H}Session-Id",
    f"{_H}Target-Model",
)
_CHUNK_BYTES = 1 << 20
_REPLACEMENTS = 20
"""Times that a request may meet a container that is about to be stopped."""


class Runtime:
    """Answers the paths of sagemaker-runtime."""

    def __init__(
        self,
        find_endpoint: Callable[[str], Endpoint | None],
        components: Components,
        asynchronous: AsyncInference,
        host: Host,
        metrics: Metrics,
        *,
        region: str,
        account: str,
    ) -> None:
        self._find_endpoint = find_endpoint
        self._components = components
        self._asynchronous = asynchronous
        self._host = host
        self._metrics = metrics
        self._shadowing = Shadowing(host, metrics)
        self._account = account
        self._log_groups = f"arn:aws:logs:{region}:{account}:log-group:"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        match = PATH.fullmatch(request.path)
        try:
            if match is None or match["kind"] == "invocations-response-stream":
                raise ApiError("ValidationError", f"the local AWS has no {match['kind'] if match else request.path}")
            endpoint = self._endpoint(match["endpoint"])
            answer = self._invoke if match["kind"] == "invocations" else self._invoke_async
            response = answer(request, endpoint)
        except ApiError as error:
            _discard(request)
            response = _error(503 if error.code == "ServiceUnavailable" else 400, error)
        return response(environ, start_response)

    def _endpoint(self, name: str) -> Endpoint:
        endpoint = self._find_endpoint(name)
        if endpoint is None:
            raise ApiError("ValidationError", f"Endpoint {name} of account {self._account} not found.")
        return endpoint

    def _invoke_async(self, request: Request, endpoint: Endpoint) -> Response:
        if (request.content_length or 0) > INLINE_BYTES:
            raise ApiError(
                "ValidationError",
                f"Body has {request.content_length} bytes; at most {INLINE_BYTES} may be sent inline.",
            )
        taken = self._asynchronous.accept(endpoint, request.headers, request.get_data())
        locations = {f"{_H}OutputLocation": taken.output_location, f"{_H}FailureLocation": taken.failure_location}
        return _answer(
            202,
            {"InferenceId": taken.inference_id},
            {header: location for header, location in locations.items() if location},
        )

    def _invoke(self, request: Request, endpoint: Endpoint) -> Response:
        began = time.perf_counter()
        if endpoint.asynchronous:
            raise ApiError("ValidationError", f"Endpoint {endpoint.name} is asynchronous; use InvokeEndpointAsync.")
        limits = _limits(endpoint)
        length = request.content_length
        if length is None or length > limits.payload_bytes:
            _discard(request)
            shown = "without a length" if length is None else f"of {length} bytes"
            return _error(
                413,
                ApiError("ValidationError", f"A body {shown} is refused; at most {limits.payload_mb} MB are accepted."),
            )
        headers = {header: request.headers[header] for header in _PASSED_ON if header in request.headers}
        asked = Invocation(request.get_data(), headers, float(limits.timeout_s))
        for _ in range(_REPLACEMENTS):
            fleet, member = self._pick(request, endpoint)
            try:
                with member.admitted(), self._host.use(endpoint.name, member) as (container, setup_s):
                    self._shadowing.copy(endpoint, fleet, member, asked)
                    answer = call(container, asked)
            except Replaced:
                continue
            except Throttled:
                # As SageMaker: 400, and not 429. Its own message is empty.
                raise ApiError(
                    "ThrottlingException",
                    f"Rate exceeded: {member.requests} requests are under way, as many as MaxConcurrency allows.",
                ) from None
            except NoCapacity:
                raise self._without_capacity(endpoint, member) from None
            except START_FAILURES as error:
                answer, setup_s = Answer(NO_ANSWER, 0.0, failure=str(error)), 0.0
            observe(self._metrics, member, answer, total_s=time.perf_counter() - began, setup_s=setup_s)
            return self._respond(endpoint, member, answer)
        raise ApiError("ServiceUnavailable", "The endpoint's containers are being replaced all the time; try again.")

    def _pick(self, request: Request, endpoint: Endpoint) -> tuple[Fleet, Member]:
        """Who shall answer; raises ApiError if nobody can."""
        fleet = endpoint.traffic.pick()
        if fleet is None or endpoint.status == "Failed":
            reason = f" {endpoint.failure}" if endpoint.failure else ""
            raise ApiError("ValidationError", f"Endpoint {endpoint.name} is {endpoint.status}, not InService.{reason}")
        component = request.headers.get(_COMPONENT)
        if endpoint.hosts_components:
            if not component:
                raise ApiError(
                    "ValidationError",
                    "Inference Component Name header is required for endpoints to which you plan to deploy inference "
                    "components. Please include Inference Component Name header or consider using SageMaker models.",
                )
            return fleet, self._components.pick(endpoint, component)
        if component:
            raise ApiError(
                "ValidationError",
                f"Inference Component Name header is {component}, but endpoint {endpoint.name} hosts no inference "
                "components.",
            )
        wanted = request.headers.get(_VARIANT)
        member = fleet.pick(wanted)
        if member is None:
            raise ApiError("ValidationError", f"Variant {wanted} not found for endpoint {endpoint.name}.")
        return fleet, member

    def _without_capacity(self, endpoint: Endpoint, member: Member) -> ApiError:
        if endpoint.hosts_components:
            self._metrics.add({"NoCapacityInvocationFailures": 1.0}, member.places, unit="Count")
            return ApiError(
                "ValidationError",
                "Inference Component has no capacity to process this request. ApplicationAutoScaling may be "
                "in-progress (if configured) or try to increase the capacity by invoking "
                "UpdateInferenceComponentRuntimeConfig API.",
            )
        return ApiError("ValidationError", f"Variant {member.name} of endpoint {endpoint.name} has no instances.")

    def _respond(self, endpoint: Endpoint, member: Member, answer: Answer) -> Response:
        if answer.status >= 400:
            status = 0 if answer.failure else answer.status  # 0: there was no answer at all
            return self._model_error(
                endpoint, member, status, answer.failure or answer.body.decode("utf-8", errors="replace")
            )
        headers = {"Content-Type": answer.content_type}
        if not endpoint.hosts_components:
            headers["x-Amzn-Invoked-Production-Variant"] = member.name
        if _ATTRIBUTES in answer.headers:
            headers[_ATTRIBUTES] = answer.headers[_ATTRIBUTES]
        return Response(answer.body, status=200, headers=headers)

    def _model_error(self, endpoint: Endpoint, member: Member, status: int, original: str) -> Response:
        """424, as boto3 sees every failure of a container."""
        group = (
            f"/aws/sagemaker/InferenceComponents/{member.name}"
            if endpoint.hosts_components
            else f"/aws/sagemaker/Endpoints/{endpoint.name}"
        )
        side = "client" if 400 <= status < 500 else "server"
        document = {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if side == "client" else "SERVER_ERROR_FROM_MODEL",
            "LogStreamArn": f"{self._log_groups}{group}",
            "Message": f'Received {side} error ({status}) from primary with message "{original}". See {group} for more '
            "information.",
            "OriginalMessage": original,
            "OriginalStatusCode": status,
        }
        return _answer(424, document, {"x-amzn-ErrorType": "ModelError"})


def _limits(endpoint: Endpoint) -> RequestLimits:
    fleet = endpoint.fleet
    serverless = fleet is not None and any(member.serverless for member in fleet.members)
    return load_limits().serverless if serverless else load_limits().realtime


def _discard(request: Request) -> None:
    """Reads what is being sent: closing the connection in the middle would hide the answer from the caller."""
    while request.stream.read(_CHUNK_BYTES):
        pass


def _error(status: int, error: ApiError) -> Response:
    return _answer(status, {"Message": error.message}, {"x-amzn-ErrorType": error.code})


def _answer(status: int, document: object, headers: dict[str, str]) -> Response:
    return Response(json.dumps(document), status=status, headers={"Content-Type": "application/json", **headers})
