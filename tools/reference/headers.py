"""docs/reference/headers.md"""

from __future__ import annotations

import msgspec

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts import wire
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES, INFERENCE_ID, Origin, encode_origin
from tools.reference.attributes import attribute_docs
from tools.reference.markdown import block, code, join, table
from tools.reference.shapes import type_words

EXAMPLE = Origin(
    model="jina-reranker-v1-tiny-en",
    engine="openvino",
    engine_version="2026.4.1",
    dtype="bf16",
    threads=2,
    workers=2,
    token_budget=2048,
    cpu_model="Intel(R) Xeon(R) Platinum 8488C",
    instruction_set="amx",
    architecture="x86_64",
    logical_cpus=4,
    physical_cores=2,
    hardware_memory_mib=8192,
    queue_ms=0.41,
    inference_ms=21.7,
    total_ms=24.9,
    tokens=6120,
    sum_squared_tokens=402_112,
    batches=3,
    padding_ratio=0.04,
    truncated_documents=0,
    memory_mib=402.5,
    peak_memory_mib=418.0,
    startup_s=1.31,
)
"""Made up, to show the form."""


def page() -> str:
    limit = load_limits().container.custom_attributes_characters
    docs = attribute_docs(wire)
    answers = [
        (code(getattr(wire, name)), text)
        for name, text in docs.items()
        if name not in {"CUSTOM_ATTRIBUTES", "INFERENCE_ID"} and str(getattr(wire, name)).startswith("x-")
    ]
    return join(
        "# Headers",
        "## Of requests",
        table(
            ("header", "what it does"),
            [
                (
                    code(CUSTOM_ATTRIBUTES),
                    "`dialect=NAME` says in which dialect the body is, where its shape would say another "
                    "([dialects](dialects.md)). Whatever else it holds is left alone.",
                ),
                (
                    code(INFERENCE_ID),
                    "The caller's name for the request; the log lines that are written for it carry it as "
                    "`inference_id`, its first 64 characters.",
                ),
            ],
        ),
        "## Of answers",
        "SageMaker hands a caller the body and one header, so what an answer tells of itself is there twice: in plain "
        "headers for who calls the container directly, and in Custom-Attributes for who calls an endpoint.",
        table(("header", "what it tells"), answers),
        f"All of them in every dialect; {code(wire.TOTAL_TIME)} also on refusals and errors. Refusals that will pass "
        "have `Retry-After` in seconds ([errors](errors.md)).",
        f"## {CUSTOM_ATTRIBUTES}",
        f"`name=value` pairs, at most {limit:,} ASCII characters. `RerankClient` hands it out as `origin`, "
        "`rerank bench` records profiles from it. An answer without scores tells of the server alone.",
        block(encode_origin(EXAMPLE)),
        table(("name", "type", "what it tells"), [_row(field) for field in msgspec.structs.fields(Origin)]),
    )


def _row(field: msgspec.structs.FieldInfo) -> tuple[str, str, str]:
    docs = attribute_docs(Origin)
    return code(field.name), type_words(msgspec.inspect.type_info(field.type)), docs.get(field.name, "")
