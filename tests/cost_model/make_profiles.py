"""Writes the profiles that the tests compare with: figures of a made-up law, so that the law can be found again.

python tests/cost_model/make_profiles.py
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cost_model.service_time import lay_out
from rerank_toolkit.contracts.documents import write
from rerank_toolkit.contracts.profile import Cell, Hardware, Memory, Profile

TOKEN_BUDGET = 2048

FOLDER = Path(__file__).with_name("profiles")

LAWS = {
    # seconds a batch, a sequence, a token, a pair of tokens
    "jina-reranker-v1-tiny-en": (0.002, 0.0004, 0.00015, 4e-8),
    "ms-marco-MiniLM-L-12-v2": (0.002, 0.0008, 0.00034, 1e-7),
}


def cell(law: tuple[float, float, float, float], documents: int, tokens: int) -> Cell:
    total, squared = documents * tokens, documents * tokens**2
    batches = lay_out((float(tokens),) * documents, engines=1, token_budget=TOKEN_BUDGET, padded=False).batches
    inference = 1000 * (law[0] * batches + law[1] * documents + law[2] * total + law[3] * squared)
    around = 1.5 + 0.002 * total
    return Cell(
        documents=documents,
        tokens_per_document=tokens,
        tokens=total,
        sum_squared_tokens=squared,
        inference_ms=inference,
        queue_ms=0.1,
        latency_ms=inference + around + 0.1,
        latency_p95_ms=1.1 * (inference + around),
        samples=9,
    )


def profile(model_id: str) -> Profile:
    law = LAWS[model_id]
    return Profile(
        model_id=model_id,
        seeded=True,
        engine="torch",
        engine_version="made up for tests",
        dtype="fp32",
        threads=2,
        workers=1,
        token_budget=TOKEN_BUDGET,
        hardware=Hardware(
            cpu_model="AMD EPYC",
            instruction_set="avx512_bf16",
            architecture="x86_64",
            logical_cpus=2,
            physical_cores=2,
            memory_mib=24576,
        ),
        cells=[cell(law, documents, tokens) for documents in (1, 4, 16, 64) for tokens in (16, 64, 128, 256, 512)],
        documents_per_second=40.0,
        documents_per_50_ms=2.0,
        workload="made up for tests",
        memory=Memory(idle_mib=420.0, peak_mib=760.0),
        startup_s=2.5,
        toolkit_version="0.1.0",
        measured_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


if __name__ == "__main__":
    for model_id in LAWS:
        write(FOLDER / f"{model_id}-torch-fp32-made-up.json", profile(model_id))
