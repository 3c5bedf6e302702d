"""docs/reference/logs.md"""

from __future__ import annotations

import msgspec

from inference_container.logs import EVENTS, RequestLine
from tools.reference.attributes import attribute_docs
from tools.reference.markdown import code, join, json_block, table
from tools.reference.shapes import type_words

EXAMPLE = {
    "time": "2026-11-22T03:01:55.855+00:00",
    "level": "info",
    "event": "request",
    **msgspec.structs.asdict(
        RequestLine(
            path="/invocations",
            dialect="jina",
            status=200,
            outcome="ok",
            total_ms=24.9,
            documents=50,
            tokens=6120,
            truncated_documents=0,
            batches=3,
            padding_ratio=0.041,
            queue_ms=0.41,
            inference_ms=21.7,
        )
    ),
    "inference_id": "5f0c8a52",
}
"""Made up, to show the form."""


def page() -> str:
    docs = attribute_docs(RequestLine)
    fields = [
        (code(field.name), type_words(msgspec.inspect.type_info(field.type)), docs.get(field.name, ""))
        for field in msgspec.structs.fields(RequestLine)
    ]
    return join(
        "# Log lines",
        "One JSON object a line on stderr, which SageMaker hands to CloudWatch Logs: Logs Insights queries the fields "
        "by name. Texts of queries and documents are never logged. Every line has `time`, `level` and `event`; one "
        "written on behalf of a request has `inference_id` where the caller named it; one of another library has "
        "`logger`. `RERANK_LOG_LEVEL` says from which level on ([settings](settings.md)). Metrics as log lines are "
        "another matter: [metrics](metrics.md).",
        table(("event", "what happened"), [(code(event), meaning) for event, meaning in EVENTS.items()]),
        "## The line of a request",
        "At level info, or error if the server is to blame.",
        json_block({name: value for name, value in EXAMPLE.items() if value is not None}),
        table(("field", "type", "what it tells"), fields),
    )
