"""Bodies of Jina's rerank API, the default dialect: what the client sends and the container answers."""

from __future__ import annotations

from typing import Annotated

import msgspec

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
"""The one header that SageMaker passes through both ways; the answer's origin travels in it as `key=value; …`."""

MOST_TEXT = 48
"""Characters of a text in that header: all of them at their longest, and the numbers, stay within its bound."""


class Text(msgspec.Struct, frozen=True):
    text: str


class RerankRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    query: str | Text
    documents: Annotated[list[str | Text], msgspec.Meta(min_length=1)]
    model: str | None = None
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool = True
    max_doc_length: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Tokens of each document that are read; the rest is cut."""
    truncate: bool = True
    """False: a document that doesn't fit is an error instead of being cut."""


class Usage(msgspec.Struct, frozen=True):
    total_tokens: int
    """Tokens read, with the query and special tokens counted once for each document."""
    truncated_documents: int = 0


class RankedDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    index: int
    relevance_score: float
    """Between 0 and 1."""
    document: Text | None = None


class RerankResponse(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    object: str = "list"
    usage: Usage
    results: list[RankedDocument]
    """Best first; at most top_n."""


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """`detail` is what LangChain and LlamaIndex show."""

    detail: str
    errors: list[ErrorItem] | None = None


class ErrorItem(msgspec.Struct, frozen=True):
    field: str
    message: str
    type: str


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer was made, as it travels in Custom-Attributes."""

    model: str
    engine: str
    engine_version: str
    dtype: str
    threads: int
    workers: int = 1
    token_budget: int
    cpu_model: str
    instruction_set: str
    architecture: str
    logical_cpus: int
    physical_cores: int
    hardware_memory_mib: int
    gpu: str = ""
    queue_ms: float
    inference_ms: float
    tokens: int
    sum_squared_tokens: int
    batches: int
    memory_mib: float
    peak_memory_mib: float
    startup_s: float
    """From the start of the process to the first answer of the warm-up."""
    seeded: bool = False


def encode_origin(origin: Origin) -> str:
    """At most 1,024 printable ASCII characters, as SageMaker demands; long texts in it are cut."""
    return "; ".join(f"{name}={_plain(getattr(origin, name))}" for name in origin.__struct_fields__)


def decode_origin(header: str) -> Origin | None:
    """The origin in a Custom-Attributes header; None if the header tells of something else."""
    pairs = dict(pair.split("=", 1) for pair in header.split("; ") if "=" in pair)
    try:
        return msgspec.convert(pairs, Origin, strict=False)
    except msgspec.ValidationError:
        return None


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)[:MOST_TEXT]
    return "".join(character if " " <= character <= "~" and character not in ";=" else "_" for character in text)
