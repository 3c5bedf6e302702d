"""Errors that a caller of the server meets. Each knows its HTTP status and the word that counts it.

Where each interrupts a request on its way:

    ready?     NotReady 503
    body       BodyTooLarge 413, BodyTooSlow 408, UnsupportedEncoding 415, CallerLeft 499
    decoding   NotJson 400, NotCsv 400
    dialect    InvalidRequest 422, with every fault
    admission  RequestTooLarge 413, QueueFull 429, WouldBeLate 503: Refused, with Retry-After where it helps
    compute    EngineFailed 500, TookTooLong 503, WorkerDied 503, NotReady 503
    answer     Unforeseen 500, from any of these
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.faults import Fault

Reason = Literal[
    "starting",
    "draining",
    "unhealthy",
    "closed",
    "memory",
    "too_large",
    "queue_full",
    "too_late",
    "makes_others_late",
    "worker_died",
]

REASONS: Mapping[Reason, str] = {
    "starting": "The model is being loaded.",
    "draining": "The server was told to end and takes nothing new.",
    "unhealthy": "No worker can compute now; the message says why. They are started again.",
    "closed": "The server ended before this request was computed.",
    "memory": "The bodies that are being answered fill the memory set aside for them.",
    "too_large": "The request alone is more than this server would ever queue or finish within its time limit.",
    "queue_full": "As many tokens wait as may.",
    "too_late": "By the estimate at its arrival, the answer would miss the time limit.",
    "makes_others_late": "Taking it would make requests late that were taken before.",
    "worker_died": "Two workers ended while they computed it.",
}
"""When each stands in a refusal."""


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

    def __init__(self, message: str, *, reason: Reason, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.reason = reason


class NotReady(Refused):
    """The model is still being loaded, or the process is draining."""

    status = 503
    outcome = "not_ready"


class BodyTooLarge(ServingError):
    """Larger than `max_body_mb`; known from its head or as soon as it is."""

    status = 413
    outcome = "body_too_large"


class BodyTooSlow(ServingError):
    """Its end didn't come within the time limit."""

    status = 408
    outcome = "body_too_slow"


class UnsupportedEncoding(ServingError):
    """Compressed, or in another way not as it is."""

    status = 415
    outcome = "unsupported_encoding"


class CallerLeft(ServingError):
    """The connection closed before the answer. Nobody reads this answer; logs and metrics count it."""

    status = 499
    outcome = "abandoned"

    def __init__(self) -> None:
        super().__init__("the caller closed the connection")


class NotJson(ServingError):
    """The body can't be read as the JSON that it should be."""

    status = 400
    outcome = "not_json"


class NotCsv(ServingError):
    """The body can't be split into rows."""

    status = 400
    outcome = "not_csv"


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
    """No room now: in the queue, or for the body."""

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


class WorkerDied(Refused):
    """Two workers, one after the other, ended while they computed this request, which may be why."""

    status = 503
    outcome = "worker_died"

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="worker_died", retry_after_s=5)


class Unforeseen(ServingError):
    """An exception that nobody thought of; the log has its traceback."""

    outcome = "unforeseen"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the server failed on this request ({type(error).__name__}). This is a bug.")


class EngineFailed(ServingError):
    """The engine raised on a batch that held this request, or gave scores that are no numbers."""

    status = 500
    outcome = "engine_failed"
