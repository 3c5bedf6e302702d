from __future__ import annotations

import msgspec

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.wire import Origin, decode_origin, encode_origin

ORIGIN = Origin(
    model="jina-reranker-v1-tiny-en", engine="torch", engine_version="2.13.0", dtype="fp32",
    threads=2, token_budget=2048,
    cpu_model="Intel(R) Xeon(R) Platinum 8488C", instruction_set="amx", architecture="x86_64", logical_cpus=4,
    physical_cores=2, hardware_memory_mib=8192, queue_ms=0.25, inference_ms=12.5, tokens=345, sum_squared_tokens=6789,
    batches=1, memory_mib=512.0, peak_memory_mib=600.0, startup_s=2.5,
)  # fmt: skip


def test_an_origin_survives_the_header() -> None:
    assert decode_origin(encode_origin(ORIGIN)) == ORIGIN


def test_the_header_is_what_sagemaker_lets_through() -> None:
    long = dict.fromkeys(
        ("engine_version", "cpu_model", "instruction_set", "architecture", "gpu", "engine", "dtype"), "x" * 999
    )
    strange = msgspec.structs.replace(ORIGIN, model="modèle; a=b\r\nSet-Cookie: x" + "y" * 999, **long)
    header = encode_origin(strange)

    assert header.isascii()
    assert header.isprintable()
    assert len(header) <= load_limits().container.custom_attributes_characters
    decoded = decode_origin(header)
    assert decoded is not None
    assert (decoded.inference_ms, decoded.startup_s) == (ORIGIN.inference_ms, ORIGIN.startup_s)
    assert decoded.seeded is ORIGIN.seeded


def test_a_header_of_someone_else_is_no_origin() -> None:
    assert decode_origin("dialect=cohere") is None
    assert decode_origin("") is None
