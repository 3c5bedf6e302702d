from __future__ import annotations

import msgspec

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.wire import Origin, decode_origin, encode_origin

ORIGIN = Origin(
    model="jina-reranker-v1-tiny-en", engine="torch", engine_version="2.13.0", dtype="fp32",
    threads=2, token_budget=2048,
    cpu_model="Intel(R) Xeon(R) Platinum 8488C", instruction_set="amx", architecture="x86_64", logical_cpus=4,
    physical_cores=2, hardware_memory_mib=8192, queue_ms=0.25, inference_ms=12.5, total_ms=13.0,
    tokens=345, sum_squared_tokens=6789, batches=1, padding_ratio=0.25, truncated_documents=2,
    memory_mib=512.0, peak_memory_mib=600.0, startup_s=2.5,
)  # fmt: skip


def test_an_origin_survives_the_header() -> None:
    assert decode_origin(encode_origin(ORIGIN)) == ORIGIN


def test_an_origin_of_an_older_server_tells_less() -> None:
    less = msgspec.structs.replace(ORIGIN, total_ms=None, padding_ratio=None, truncated_documents=None)

    assert "None" not in encode_origin(less)
    assert decode_origin(encode_origin(less)) == less


def test_the_header_is_what_sagemaker_lets_through() -> None:
    long = dict.fromkeys(
        ("engine_version", "cpu_model", "instruction_set", "architecture", "gpu", "engine", "dtype"), "x" * 999
    )
    large = {
        **dict.fromkeys(
            ("queue_ms", "inference_ms", "total_ms"), 3_600_000.0
        ),  # an hour, the longest a request may take
        "tokens": 4_000_000,
        "sum_squared_tokens": 4_000_000 * 8192,
        "batches": 4_000_000,
        "truncated_documents": 4_000_000,
        **dict.fromkeys(("memory_mib", "peak_memory_mib", "hardware_memory_mib"), 2**21),  # 2 TiB
    }
    strange = msgspec.structs.replace(ORIGIN, model="modèle; a=b\r\nSet-Cookie: x" + "y" * 999, **long, **large)
    header = encode_origin(strange)

    assert header.isascii()
    assert header.isprintable()
    assert len(header) <= load_limits().container.custom_attributes_characters
    decoded = decode_origin(header)
    assert decoded is not None
    assert (decoded.inference_ms, decoded.startup_s) == (strange.inference_ms, ORIGIN.startup_s)
    assert decoded.seeded is ORIGIN.seeded


def test_a_header_of_someone_else_is_no_origin() -> None:
    assert decode_origin("dialect=cohere") is None
    assert decode_origin("") is None
