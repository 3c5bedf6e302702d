"""Bodies of Jina's rerank API, the default dialect: what the client sends and the container answers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
"""The one header that SageMaker passes through both ways; the answer's origin travels in it as `key=value; …`."""

INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
"""The caller's name for a request, in its log lines."""

# On answers of every dialect, for callers without SageMaker in between. The first four are called and counted as
# Text Embeddings Inference does, times in whole milliseconds.

TOTAL_TIME = "x-total-time"
"""Milliseconds from the request's head to its answer. On refusals and errors too."""

QUEUE_TIME = "x-queue-time"
"""Milliseconds from admission to scores in which no batch of this request was computed."""

INFERENCE_TIME = "x-inference-time"
"""Milliseconds in which a batch that held documents of this request was computed, whoever else was in it."""

COMPUTE_TOKENS = "x-compute-tokens"
"""Tokens read, with the query and special tokens counted once for each document."""

PADDING_RATIO = "x-padding-ratio"
"""Share of the tokens computed for this request that was padding, 0 to 1."""

TRUNCATED_DOCUMENTS = "x-truncated-documents"
"""Documents that were cut to fit."""

MOST_TEXT = 48
"""Characters of a text in that header: all of them at their longest, and the numbers, stay within its bound."""


class Text(msgspec.Struct, frozen=True):
    """A text as an object, as some callers send it."""

    text: str


class RerankRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    query: str | Text
    documents: Annotated[list[str | Text], msgspec.Meta(min_length=1)]
    model: str | None = None
    """The model that is served, by its id or alias, for who wants to be sure; another name is a fault."""
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How many of the best to answer with; absent: all. Also called top_k."""
    return_documents: bool = True
    """Whether the answer brings the texts back."""
    max_doc_length: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Tokens of each document that are read; the rest is cut. Also called max_tokens_per_doc."""
    truncate: bool = True
    """False: a document that doesn't fit is an error instead of being cut."""
    truncation_direction: Literal["right", "left"] = "right"
    """The end of a document that is cut. An addition to Jina's API."""


class Usage(msgspec.Struct, frozen=True):
    total_tokens: int
    """Tokens read, with the query and special tokens counted once for each document."""
    truncated_documents: int = 0
    """Documents that were cut to fit."""


class RankedDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    index: int
    """Position in the request."""
    relevance_score: float
    """Between 0 and 1."""
    document: Text | None = None
    """Where return_documents asks for it."""


class RerankResponse(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    """Its id, with a remark if its weights are random."""
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
    """How an answer was made, as it travels in Custom-Attributes. What an older server doesn't tell is None."""

    model: str
    """By its id in the catalogue."""
    engine: str
    """openvino or torch."""
    engine_version: str
    """Of the library that computes."""
    dtype: str
    """What the engine computes in, which may be more than the artifact asks for."""
    threads: int
    """Of all workers together."""
    workers: int = 1
    """Processes that compute."""
    token_budget: int
    """Tokens in one batch, at most."""
    cpu_model: str
    """As the CPU calls itself."""
    instruction_set: str
    """In the catalogue's words: avx2, avx512, avx512_vnni, avx512_bf16, amx, neon, sve_bf16."""
    architecture: str
    """x86_64 or arm64."""
    logical_cpus: int
    """That the server may use."""
    physical_cores: int
    """That the server may use."""
    hardware_memory_mib: int
    """That the server may use."""
    gpu: str = ""
    """The first one's name; empty without."""
    queue_ms: float
    """From admission to scores, time in which no batch of this request was computed."""
    inference_ms: float
    """Time in which a batch that held documents of this request was computed, whoever else was in it."""
    total_ms: float | None = None
    """From the request's head to its answer."""
    tokens: int
    """Read for this request, with the query and special tokens counted once for each document."""
    sum_squared_tokens: int
    """Sum of squared sequence lengths: attention's share of the work."""
    batches: int
    """That held documents of this request."""
    padding_ratio: float | None = None
    """Share of the tokens computed for this request that was padding."""
    truncated_documents: int | None = None
    """Documents of this request that were cut to fit."""
    memory_mib: float
    """Of all processes of the server, now."""
    peak_memory_mib: float
    """Of all processes of the server, since it started."""
    startup_s: float
    """From the start of the process to the first answer of the warm-up."""
    seeded: bool = False
    """Whether the weights are random: good for speed, worthless for ranking."""


def encode_origin(origin: Origin) -> str:
    """At most 1,024 printable ASCII characters, as SageMaker demands; long texts in it are cut."""
    values = ((name, getattr(origin, name)) for name in origin.__struct_fields__)
    return "; ".join(f"{name}={_plain(value)}" for name, value in values if value is not None)


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
