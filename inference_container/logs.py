"""One JSON object a line on stderr: what CloudWatch Logs Insights queries without a parser.

Lines written on behalf of a request carry its Inference-Id. Texts of queries and documents are never logged.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

import msgspec

LOGGER = logging.getLogger("rerank")

METRICS_LOGGER = logging.getLogger("rerank.metrics")
"""Of metrics that are asked for by a setting of their own, whatever the level."""

INFERENCE_ID: ContextVar[str | None] = ContextVar("inference_id", default=None)
"""The caller's name for the request that is being answered."""

Event = Literal[
    "ready",
    "request",
    "unforeseen",
    "engine_raised",
    "worker_lost",
    "worker_started",
    "worker_not_started",
    "draining",
    "stopping",
]

EVENTS: Mapping[Event, str] = {
    "ready": "A warm-up was answered; from now on /ping says 200.",
    "request": "A request was answered, refused or abandoned.",
    "unforeseen": "An exception that nobody thought of, and where it was raised. The request's own line follows.",
    "engine_raised": "The engine failed on a batch; with the traceback.",
    "worker_lost": "A worker ended, and why that is believed. Its batch goes back into the queue.",
    "worker_started": "Another worker took the place of one that was lost.",
    "worker_not_started": "None could take its place yet; in `next_try_s` seconds comes the next try.",
    "draining": "A signal to end came, with `in_flight` requests still to be answered.",
    "stopping": "The drain is over; `unanswered` requests are left.",
}
"""What each line tells that isn't another library's."""


class RequestLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The line of a request. What is not known of it, because it didn't come so far, is absent."""

    path: str
    dialect: str
    status: int
    """As the caller got it."""
    outcome: str
    """ok, or an error's word."""
    total_ms: float
    """From the request's head to its answer."""
    documents: int | None = None
    tokens: int | None = None
    """Read, with the query and special tokens counted once for each document."""
    truncated_documents: int | None = None
    """Cut to fit."""
    batches: int | None = None
    """That held documents of it."""
    padding_ratio: float | None = None
    """Share of the tokens computed for it that was padding."""
    queue_ms: float | None = None
    """From admission to scores, time in which no batch of it was computed."""
    inference_ms: float | None = None
    """Time in which a batch that held documents of it was computed."""
    reason: str | None = None
    """Of a refusal."""
    detail: str | None = None
    """An error's message, where it can't hold text of the caller's."""
    faults: list[str] | None = None
    """Each fault's field and kind; the caller was told the whole."""


def configure_logging(level: str) -> None:
    """Sends every logger of this process through one handler; `level` is one of the settings' words."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # "Started", "Waiting for application startup": ours say the same with more in it.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
    METRICS_LOGGER.setLevel(logging.INFO)


def log_event(event: Event, *, level: int = logging.INFO, **fields: object) -> None:
    """One line; a field that is None is left out."""
    LOGGER.log(level, event, extra={"fields": {name: value for name, value in fields.items() if value is not None}})


def log_request(line: RequestLine, *, failed: bool) -> None:
    """`failed`: the server is to blame, and the level is error."""
    log_event("request", level=logging.ERROR if failed else logging.INFO, **msgspec.structs.asdict(line))


def log_unforeseen() -> None:
    """The exception that is being handled. What it says may hold text of the caller's, so that is left out."""
    LOGGER.error("unforeseen", exc_info=True, extra={"private": True})


def log_metrics(document: Mapping[str, object]) -> None:
    """One line that is `document` and nothing else, as the embedded metric format wants it."""
    METRICS_LOGGER.info("metrics", extra={"document": document})


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        document = getattr(record, "document", None)
        return msgspec.json.encode(document or self._line(record)).decode()

    def _line(self, record: logging.LogRecord) -> dict[str, object]:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if inference_id := INFERENCE_ID.get():
            line["inference_id"] = inference_id
        if record.name != LOGGER.name:
            line["logger"] = record.name
        if record.exc_info:
            private = getattr(record, "private", False)
            line["traceback"] = _raised_where(record.exc_info[1]) if private else self.formatException(record.exc_info)
        return line


def _raised_where(error: BaseException | None) -> str:
    """The traceback of an exception and of those behind it, without what they say."""
    parts: list[str] = []
    while error:
        parts = [*traceback.format_tb(error.__traceback__), f"{type(error).__name__}\n", *parts]
        error = error.__cause__ or error.__context__
    return "".join(parts)
