"""What a batch transform job is told when it asks how it may send its records."""

from __future__ import annotations

import msgspec

from rerank_toolkit.contracts.settings import Settings

_MOST_MB = 6
"""SageMaker's own default. A larger body is more work than one time limit holds, and no faster."""

_CONCURRENT = 2
"""One is tokenised while another is scored."""


class BatchParameters(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer of /execution-parameters, by SageMaker's names; what a job sets itself goes before it."""

    max_concurrent_transforms: int
    batch_strategy: str
    max_payload_in_mb: int = msgspec.field(name="MaxPayloadInMB")


def batch_parameters(settings: Settings) -> BatchParameters:
    """Payloads this server takes, as many records in each as fit."""
    return BatchParameters(_CONCURRENT, "MULTI_RECORD", max(1, min(_MOST_MB, int(settings.max_body_mb))))
