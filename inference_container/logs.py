"""One JSON object a line on stderr: what CloudWatch Logs Insights queries without a parser.

Lines written on behalf of a request carry its Inference-Id. Texts of queries and documents are never logged.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

LOGGER = logging.getLogger("rerank")

METRICS_LOGGER = logging.getLogger("rerank.metrics")
"""Of metrics that are asked for by a setting of their own, whatever the level."""

INFERENCE_ID: ContextVar[str | None] = ContextVar("inference_id", default=None)
"""The caller's name for the request that is being answered."""


def configure_logging(level: str) -> None:
    """Sends every logger of this process through one handler; `level` is one of the settings' words."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # "Started", "Waiting for application startup": ours say the same with more in it.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
    METRICS_LOGGER.setLevel(logging.INFO)


def log_event(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """One line; a field that is None is left out."""
    LOGGER.log(level, event, extra={"fields": {name: value for name, value in fields.items() if value is not None}})


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
            line["traceback"] = self.formatException(record.exc_info)
        return line
