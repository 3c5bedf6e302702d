"""Errors that a caller of the server meets. Each knows its HTTP status and the word that counts it.

Where each interrupts a request on its way:

    ready?     NotReady 503
    body       BodyTooLarge 413, BodyTooSlow 408, UnsupportedEncoding 415, CallerLeft 499
    JSON       NotJson 400
    dialect    InvalidRequest 422, with every fault
    admission  RequestTooLarge 413, QueueFull 429, WouldBeLate 503: Refused, with Retry-After where it helps
    compute    EngineFailed 500, TookTooLong 503, NotReady 503
    answer     Unforeseen 500, from any of these
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.faults import Fault


class ServingError(ToolkitError):
    """A request that is not answered with scores."""

    status = 500
    outcome = "failed"
    """As metrics and logs count it."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """Retry-After in whole seconds, at least 1, where trying again makes sense."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}


class Refused(ServingError):
    """Sound or not, the request was not taken: `reason` is counted."""

    def __init__(self, message: str, *, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.reason = reason


class NotReady(Refused):
    """The model is still being loaded, or the process is draining."""

    status = 503
    outcome = "not_ready"


class BodyTooLarge(ServingError):
    status = 413
    outcome = "body_too_large"


class BodyTooSlow(ServingError):
    status = 408
    outcome = "body_too_slow"


class UnsupportedEncoding(ServingError):
    status = 415
    outcome = "unsupported_encoding"


class CallerLeft(ServingError):
    """The connection closed before the answer. Nobody reads this answer; logs and metrics count it."""

    status = 499
    outcome = "abandoned"

    def __init__(self) -> None:
        super().__init__("the caller closed the connection")


class NotJson(ServingError):
    status = 400
    outcome = "not_json"


class InvalidRequest(ServingError):
    """JSON, but not a request: carries all its faults."""

    status = 422
    outcome = "invalid"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


class RequestTooLarge(Refused):
    """More tokens than this server would ever queue: trying again won't help."""

    status = 413
    outcome = "request_too_large"


class QueueFull(Refused):
    status = 429
    outcome = "queue_full"


class WouldBeLate(Refused):
    """By the estimate at arrival, the answer would miss the time limit."""

    status = 503
    outcome = "would_be_late"


class TookTooLong(ServingError):
    """Admitted, yet not answered within the time limit."""

    status = 503
    outcome = "took_too_long"


class Unforeseen(ServingError):
    """An exception that nobody thought of; the log has its traceback."""

    outcome = "unforeseen"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the server failed on this request ({type(error).__name__}). This is a bug.")


class EngineFailed(ServingError):
    """The engine raised on a batch that held this request, or gave scores that are no numbers."""

    status = 500
    outcome = "engine_failed"
