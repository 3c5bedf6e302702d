"""What can go wrong between a caller and an endpoint.

ClientError
├── InvalidRequest     the request can't be answered as it stands: its faults, all of them
├── Overloaded         refused before any compute; worth another try, `retry_after` seconds from now if known
├── EndpointNotFound   nothing serves under that name
├── NotAuthorized      credentials are missing, expired or too weak
├── Unreachable        no connection, or one that broke
├── TimedOut           connected, but no answer in time
├── ServerFailed       the endpoint met a fault of its own
└── UnexpectedAnswer   an answer, but not a reranker's
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.wire import ErrorBody

MOST_TEXT = 300
"""Characters shown of an error body that isn't ours: a proxy's HTML page helps nobody in full."""


class ClientError(ToolkitError):
    """A request that was not answered. `status` is the HTTP status, of the container where it answered itself."""

    def __init__(self, detail: str, *, status: int | None = None, faults: Sequence[Fault] = ()) -> None:
        self.detail = detail
        self.status = status
        self.faults = tuple(faults)
        super().__init__("\n".join([detail, *(f"  {fault}" for fault in self.faults)]))


class InvalidRequest(ClientError):
    """The request is malformed, too large, or asks for what this endpoint doesn't serve."""

    exit_code = 2


class Overloaded(ClientError):
    """The endpoint has no room, or is still starting or already stopping."""

    def __init__(self, detail: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail, status=status)
        self.retry_after = retry_after


class EndpointNotFound(ClientError):
    """No endpoint has this name in this account and region, or nothing answers under this path."""

    exit_code = 2


class NotAuthorized(ClientError):
    """AWS or the endpoint refuses the caller, not the request."""


class Unreachable(ClientError):
    """The connection could not be opened, or broke before the answer was complete."""


class TimedOut(ClientError):
    """No answer within the client's timeout."""


class ServerFailed(ClientError):
    """The endpoint or SageMaker failed at a request that may well be fine."""


class UnexpectedAnswer(ClientError):
    """The answer is not a reranker's: another kind of service may be listening there."""


def error_from_answer(
    status: int, body: bytes, *, endpoint: str, not_found_hint: str, retry_after: str | None = None
) -> ClientError:
    """The error that a container's answer means.

    not_found_hint: what to do where it knows no such path. retry_after: the header's text, if there was one.
    """
    detail, faults = _read_body(body)
    text = f"{endpoint} answered {status}{_phrase(status)}: {detail}" if detail else f"{endpoint} answered {status}"
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return Overloaded(text, status=status, retry_after=_seconds(retry_after))
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return NotAuthorized(text, status=status, faults=faults)
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED if not faults:
            return EndpointNotFound(f"{text}; {not_found_hint}", status=status)
        case _ if 400 <= status < 500:
            return InvalidRequest(text, status=status, faults=faults)
        case _:
            return ServerFailed(text, status=status, faults=faults)


def _read_body(body: bytes) -> tuple[str, list[Fault]]:
    try:
        error = msgspec.json.decode(body, type=ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return " ".join(body[: 4 * MOST_TEXT].decode("utf-8", "replace").split())[:MOST_TEXT], []
    return error.detail, [Fault(item.field, item.message, item.type) for item in error.errors or []]


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is not sent by our container and counts as unknown."""
    try:
        seconds = float(header) if header is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None
