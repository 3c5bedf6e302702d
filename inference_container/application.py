"""The HTTP side: health, metrics, and each rerank request on its way from body to answer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inference_container.batch_transform import batch_parameters
from inference_container.body import BodyReader, Decoded, layout_of
from inference_container.dialects import (
    DEFAULT,
    JSON,
    JSON_LINES,
    PATHS,
    ROW_DOCUMENT,
    ROWS,
    Dialect,
    JsonLines,
    detect_dialect,
    named_dialect,
    path_dialect,
)
from inference_container.errors import (
    CallerLeft,
    InvalidRequest,
    NotReady,
    Refused,
    ServingError,
    TookTooLong,
    Unforeseen,
)
from inference_container.job import Scores
from inference_container.logs import INFERENCE_ID, RequestLine, log_request, log_unforeseen
from inference_container.metrics import CONTENT_TYPE, Metrics
from inference_container.served import EncodedTask
from inference_container.service import RerankService
from rerank_toolkit.contracts import wire
from rerank_toolkit.contracts.settings import Settings
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES, ErrorBody, encode_origin

RERANK_PATHS = tuple(PATHS)

_MOST_ID_CHARACTERS = 64
"""Of an Inference-Id, as SageMaker takes them; whoever calls without SageMaker must not fill the log."""

_STARTING_RETRY_S = 5.0

_QUIET_S = 0.25
_MOST_LINGER_S = 3.0
"""At the end of a drain, newcomers are told until nothing has come or gone for the first, for at most the second: those
who were answered come again at once, and a socket that closes resets the connections that it hasn't accepted yet."""

Result = TypeVar("Result")


@dataclass(slots=True)
class _Call:
    """What is known of a request so far: for its log line, its metrics, and its answer's headers."""

    request: Request
    started: float = field(default_factory=time.monotonic)
    dialect: Dialect = DEFAULT
    documents: int | None = None
    encoded: EncodedTask | None = None
    scores: Scores | None = None


class Application:
    """Not ready until `open` gives it a service; after `drain` it takes nothing more."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._time_limit_s = settings.time_limit_s
        self._metrics = metrics
        self._batch_parameters = batch_parameters(settings)
        metrics.ready.set_function(lambda: float(self._not_ready() is None))
        metrics.in_flight.set_function(lambda: float(self._in_flight))
        self._bodies = BodyReader(max_mb=settings.max_body_mb, time_limit_s=settings.time_limit_s)
        self._phase: Literal["starting", "ready", "draining"] = "starting"
        self._service: RerankService | None = None
        self._startup_s = 0.0
        self._in_flight = 0
        self._last_seen = -math.inf
        self._idle = asyncio.Event()
        self._idle.set()
        self.asgi = Starlette(
            routes=[
                Route("/ping", self._ping),
                Route("/metrics", self._scrape),
                Route("/execution-parameters", self._execution_parameters),
                *(Route(path, self._rerank, methods=["POST"]) for path in RERANK_PATHS),
            ],
            exception_handlers={HTTPException: _answer_http_error},
        )

    @property
    def in_flight(self) -> int:
        """Rerank requests that are not answered yet."""
        return self._in_flight

    def open(self, service: RerankService, *, startup_s: float) -> None:
        """From now on /ping says 200 and requests are answered by `service`."""
        self._service = service
        self._startup_s = startup_s
        self._phase = "ready"
        self._metrics.startup_seconds.set(startup_s)

    async def drain(self) -> None:
        """Refuses what comes from now on, and waits until what is in flight is answered and callers have noticed."""
        self._phase = "draining"
        await self._idle.wait()
        linger_until = time.monotonic() + _MOST_LINGER_S
        while (quiet_at := min(self._last_seen + _QUIET_S, linger_until)) > time.monotonic():
            await asyncio.sleep(quiet_at - time.monotonic())

    async def _ping(self, _: Request) -> Response:
        error = self._not_ready()
        if error:
            return _json(error.status, ErrorBody(str(error)), error.headers)
        return _json(200, {"status": "ready"})

    async def _scrape(self, _: Request) -> Response:
        return Response(self._metrics.render(), media_type=CONTENT_TYPE)

    async def _execution_parameters(self, _: Request) -> Response:
        return _json(200, self._batch_parameters)

    async def _rerank(self, request: Request) -> Response:
        call = _Call(request)
        INFERENCE_ID.set(request.headers.get(wire.INFERENCE_ID, "")[:_MOST_ID_CHARACTERS] or None)
        self._last_seen = call.started
        self._in_flight += 1
        self._idle.clear()
        try:
            body, media_type = await self._answer(call)
            response = self._finish(call, 200, body)
            response.headers["Content-Type"] = media_type
            return response
        except ServingError as error:
            return self._finish_failed(call, error)
        except Exception as error:  # counted and logged as every other answer, with its traceback besides
            log_unforeseen()
            return self._finish_failed(call, Unforeseen(error))
        finally:
            self._last_seen = time.monotonic()
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def _answer(self, call: _Call) -> tuple[bytes, str]:
        """The body of the answer and its media type."""
        request = call.request
        rows = layout_of(request.headers.get("content-type", "")) == "rows"
        call.dialect = ROWS if rows else path_dialect(request.url.path)
        named = named_dialect(request.headers.get(CUSTOM_ATTRIBUTES))
        call.dialect = named or call.dialect
        service = self._service
        error = self._not_ready(for_requests=True)
        if error or not service:
            raise error or NotReady("no model is loaded. This is a bug.", reason="unhealthy")
        async with self._bodies.read(request) as body:
            return await _unless_caller_leaves(request, self._rank(call, service, body, named))

    async def _rank(
        self, call: _Call, service: RerankService, body: bytearray, named: Dialect | None
    ) -> tuple[bytes, str]:
        deadline = call.started + self._time_limit_s
        headers = call.request.headers
        try:
            async with asyncio.timeout_at(deadline):
                decoded = await service.decode(body, headers.get("content-type", ""))
                call.dialect = _dialect_of(decoded, call.request, named)
                inquiry = await service.parse(call.dialect, decoded)
                del decoded  # the objects around the texts are no more needed, and may be many
                call.documents = inquiry.documents
                call.encoded = await service.encode(*inquiry.tasks, deadline=deadline)
        except TimeoutError:
            raise TookTooLong(
                f"reading the request took the {self._time_limit_s:g} s that an answer may take", retry_after_s=1
            ) from None
        call.scores = await service.score(call.encoded, deadline=deadline)
        media_type = call.dialect.media_type
        answer = await service.render(inquiry, call.encoded, call.scores, media_type=media_type)
        if media_type == JSON and JSON_LINES in headers.get("accept", ""):
            return answer + b"\n", JSON_LINES
        return answer, media_type

    def _not_ready(self, *, for_requests: bool = False) -> NotReady | None:
        """What keeps a request from being taken; /ping is told of passing faults besides."""
        match self._phase:
            case "starting":
                return NotReady("the model is being loaded", reason="starting", retry_after_s=_STARTING_RETRY_S)
            case "draining":
                return NotReady("the server is shutting down", reason="draining", retry_after_s=1)
            case "ready":
                service = self._service
                fault = service.fault if service else "no model is loaded. This is a bug."
                if service and for_requests:
                    fault = service.outage
                return NotReady(fault, reason="unhealthy", retry_after_s=_STARTING_RETRY_S) if fault else None

    def _finish_failed(self, call: _Call, error: ServingError) -> Response:
        if isinstance(error, Refused):
            self._metrics.refusals.labels(error.reason).inc()
        body = msgspec.json.encode(call.dialect.render_error(error))
        response = self._finish(call, call.dialect.error_status(error), body, error)
        response.headers.update(error.headers)
        if _client_may_still_send(call.request, error):
            response.headers["Connection"] = "close"
        return response

    def _finish(self, call: _Call, status: int, body: bytes, error: ServingError | None = None) -> Response:
        total_s = time.monotonic() - call.started
        response = _respond(status, body, _headers(call, total_s))
        if self._service:
            origin = self._service.model.origin(call.encoded, call.scores, startup_s=self._startup_s, total_s=total_s)
            response.headers[CUSTOM_ATTRIBUTES] = encode_origin(origin)
        self._count(call, error.outcome if error else "ok", total_s)
        log_request(_line(call, status, error, total_s), failed=bool(error and error.status == 500))
        return response

    def _count(self, call: _Call, outcome: str, total_s: float) -> None:
        metrics = self._metrics
        metrics.requests.labels(call.dialect.name, outcome).inc()
        if call.encoded and call.scores:
            metrics.documents.inc(len(call.encoded.pairs.ids))
            metrics.tokens.inc(call.encoded.tokens)
            metrics.truncated.inc(len(call.encoded.truncated))
            metrics.request_seconds.observe(total_s)
            metrics.queue_seconds.observe(call.scores.queue_s)
            metrics.inference_seconds.observe(call.scores.inference_s)


def _line(call: _Call, status: int, error: ServingError | None, total_s: float) -> RequestLine:
    encoded, scores = call.encoded, call.scores
    # A fault's message may hold text of the caller's, its field and type never do.
    faults = [f"{fault.field}: {fault.type}" for fault in error.faults] if isinstance(error, InvalidRequest) else None
    return RequestLine(
        path=call.request.url.path,
        dialect=call.dialect.name,
        status=status,
        outcome=error.outcome if error else "ok",
        total_ms=round(total_s * 1e3, 2),
        documents=call.documents,
        tokens=encoded.tokens if encoded else None,
        truncated_documents=len(encoded.truncated) if encoded else None,
        batches=scores.batches if scores else None,
        padding_ratio=round(scores.padding_ratio, 3) if scores else None,
        queue_ms=round(scores.queue_s * 1e3, 2) if scores else None,
        inference_ms=round(scores.inference_s * 1e3, 2) if scores else None,
        reason=error.reason if isinstance(error, Refused) else None,
        detail=str(error) if error and not faults else None,
        faults=faults,
    )


def _headers(call: _Call, total_s: float) -> dict[str, str]:
    headers = {wire.TOTAL_TIME: _milliseconds(total_s)}
    if call.encoded and call.scores:
        headers |= {
            wire.QUEUE_TIME: _milliseconds(call.scores.queue_s),
            wire.INFERENCE_TIME: _milliseconds(call.scores.inference_s),
            wire.COMPUTE_TOKENS: str(call.encoded.tokens),
            wire.PADDING_RATIO: f"{call.scores.padding_ratio:.3f}",
            wire.TRUNCATED_DOCUMENTS: str(len(call.encoded.truncated)),
        }
    return headers


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1e3))


def _dialect_of(decoded: Decoded, request: Request, named: Dialect | None) -> Dialect:
    match decoded.layout:
        case "rows":
            return ROW_DOCUMENT if JSON in request.headers.get("accept", "").split(",") else ROWS
        case "lines":
            first = decoded.content[0] if isinstance(decoded.content, list) else None
            return JsonLines(named or detect_dialect(first, request.url.path))
        case "document":
            return named or detect_dialect(decoded.content, request.url.path)


async def _unless_caller_leaves(request: Request, answer: Coroutine[Any, Any, Result]) -> Result:
    """The answer; or, when the connection closes first, CallerLeft, with the work on it cancelled."""
    working = asyncio.create_task(answer)
    leaving = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise CallerLeft
        return await working
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait({working, leaving})


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _client_may_still_send(request: Request, error: ServingError) -> bool:
    """Whether this connection can't carry another request.

    One that announced its body with Expect and was refused may never send it. A body that stopped coming is no
    end of a request either. Otherwise the rest is read and thrown away, so that a client that first sends all
    and then listens hears the answer instead of a reset.
    """
    return error.outcome == "body_too_slow" or "expect" in request.headers


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Wrong paths and methods, which Starlette notices."""
    if not isinstance(error, HTTPException):
        raise error
    message = f"{request.method} {request.url.path}: {error.detail.lower()}"
    known = ", ".join(f"POST {path}" for path in RERANK_PATHS)
    known += ", GET /ping, GET /metrics, GET /execution-parameters"
    return _json(error.status_code, ErrorBody(f"{message}; there are {known}"), error.headers)


def _json(status: int, document: object, headers: Any = None) -> Response:
    return _respond(status, msgspec.json.encode(document), headers)


def _respond(status: int, body: bytes, headers: Any = None) -> Response:
    return Response(body, status, headers, media_type="application/json")
