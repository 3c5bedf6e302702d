"""docs/reference/errors.md"""

from __future__ import annotations

from collections.abc import Iterator

from inference_container import errors
from inference_container.dialects import DIALECTS
from inference_container.errors import InvalidRequest, QueueFull, Refused, ServingError
from rerank_toolkit.contracts.faults import Fault
from tools.reference.markdown import code, join, json_block, paragraphs, table

EXAMPLES: tuple[ServingError, ...] = (
    InvalidRequest(
        [Fault("query", "is missing", "missing"), Fault("top_n", "is 0; expected `int` >= 1", "wrong_type")]
    ),
    QueueFull(
        "7,990,000 tokens wait already, the request has 20,000 tokens, and at most 8,000,000 may wait",
        reason="queue_full",
        retry_after_s=12,
    ),
)


def page() -> str:
    return join(
        "# Errors",
        "A request that isn't answered with scores is answered with one of these, in the caller's dialect. A message "
        "names the field, its value and what was expected, and all faults of a body are told at once. The words in "
        "the first column are the `outcome` of [metrics](metrics.md) and log lines; statuses are those of every "
        "dialect but Text Embeddings Inference's and Hugging Face's, which have their own where a second one stands.",
        table(("outcome", "status", "in TEI's", "when"), _rows()),
        "Refusals are counted by reason besides. Those that will pass have a `Retry-After` in seconds, which for a "
        "queue is the estimate of when there will be room:",
        table(("reason", "when"), [(code(reason), meaning) for reason, meaning in errors.REASONS.items()]),
        "A caller behind SageMaker gets all of them as HTTP 424, boto3's `ModelError`, with `OriginalStatusCode` and "
        "`OriginalMessage`; `RerankClient` unwraps them, and waits as `Retry-After` says.",
        "## In each dialect",
        *_in_dialects(),
        "## Where each interrupts a request",
        paragraphs(errors.__doc__).partition("its way:\n\n")[2],
    )


def _rows() -> Iterator[tuple[str, str, str, str]]:
    tei = DIALECTS["tei"]
    for kind in sorted(_leaves(ServingError), key=lambda kind: (kind.status, kind.outcome)):
        error = _instance(kind)
        status = tei.error_status(error)
        docs = " ".join((kind.__doc__ or "").split())
        yield code(kind.outcome), str(kind.status), str(status) if status != kind.status else "", docs


def _leaves(kind: type[ServingError]) -> Iterator[type[ServingError]]:
    if kind not in {ServingError, Refused}:
        yield kind
    for below in kind.__subclasses__():
        yield from _leaves(below)


def _instance(kind: type[ServingError]) -> ServingError:
    if issubclass(kind, InvalidRequest):
        return kind([Fault("top_n", "is 0", "wrong_type")])
    return kind.__new__(kind)  # its class alone decides the status


def _in_dialects() -> Iterator[str]:
    """Dialects that say errors alike stand together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, dialect in DIALECTS.items():
        said = tuple(
            part
            for error in EXAMPLES
            for part in (f"{dialect.error_status(error)}:", json_block(dialect.render_error(error)))
        )
        alike.setdefault(said, []).append(name)
    for said, names in alike.items():
        yield f"### {', '.join(names)}"
        yield from said
