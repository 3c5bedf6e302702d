"""What a server's processes need of memory, part by part.

A server is a front, which tokenises, and one or more workers, each with an engine. The artifact's weights are mapped
from one file. Torch computes from those pages, which workers share; OpenVINO's kernels make copies, each worker its
own, and then the pages are given back. The parts' sizes stand in memory.toml: measured once, on models of which the
validation then predicts others.
"""

from __future__ import annotations

import math
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.catalog.shapes import Shape, encoder_parameters
from rerank_toolkit.catalog.worker_memory import MIB, TOKENS_AT_ONCE, workers_with_room
from rerank_toolkit.contracts.manifest import Dtype, Engine

TABLE = Path(__file__).with_name("memory.toml")

BYTES: dict[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}

BERT_PIECES = 31_000
"""BERT's vocabularies are smaller."""

LONG = 3072
"""Tokens from which on OpenVINO takes a JinaBERT document through graphs of their own."""


TokenizerKind = Literal["wordpiece", "bpe", "unigram"]


class Front(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    base: float
    tokenizer: dict[TokenizerKind, float]
    """MiB for each thousand of its pieces."""


class EngineMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one worker; MiB, and bytes of each of the encoder's parameters."""

    base: float
    """Interpreter and library."""
    mapped: bool
    """Whether it goes on reading the encoder's weights from the artifact's file."""
    held: dict[Dtype, float]
    """By what it computes in."""
    at_work: float
    """What the first requests leave behind: kernels for their shapes, arenas of the allocator."""
    hidden_states: float
    """Of each token in a batch, held at once, in fp32."""
    hidden_states_long: float
    """The same of a document that goes through an engine of its own, for which the weights are held once more."""
    relative_tables: float
    """Of DeBERTa: projected tables of positions, (layers, positions, hidden) in fp32."""
    relative_scores: float
    """Of DeBERTa: scores of every token in a batch by every position, (heads, tokens, positions) in fp32."""


class MemoryTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    measured: date
    hardware: str
    front: Front
    openvino: EngineMemory
    torch: EngineMemory

    def of(self, engine: Engine) -> EngineMemory:
        return self.openvino if engine == "openvino" else self.torch


class Part(msgspec.Struct, frozen=True):
    name: str
    mib: float


class MemoryNeed(msgspec.Struct, frozen=True, kw_only=True):
    """At the peak of a server's work."""

    parts: tuple[Part, ...]
    workers: int

    @property
    def mib(self) -> float:
        return sum(part.mib for part in self.parts)

    @property
    def step_mb(self) -> int | None:
        """The least serverless size that holds it; None where none does."""
        return serverless_step(self.mib)

    @property
    def basis(self) -> str:
        parts = ", ".join(f"{part.name} {part.mib:,.0f}" for part in self.parts if part.mib)
        count = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        return f"by parts measured on {load_memory().measured}, {count}: {parts} MiB"


@cache
def load_memory() -> MemoryTable:
    return msgspec.toml.decode(TABLE.read_bytes(), type=MemoryTable)


def weights_mib(model: Model, dtype: Dtype) -> float:
    """All of a model's weights in the dtype, as its artifact holds them."""
    return model.parameters * BYTES[dtype] / MIB


@lru_cache(maxsize=4096)
def memory_of(
    model: Model, engine: Engine, dtype: Dtype, *, workers: int = 1, longest_tokens: float = 512, seeded: bool = False
) -> MemoryNeed:
    """The peak of a server that has seen documents of `longest_tokens`; `dtype` is what it computes in.

    A `seeded` model has a tokenizer of a few hundred pieces.
    """
    table = load_memory()
    own = table.of(engine)
    parameters = encoder_parameters(model.shape) / MIB
    held = parameters * own.held[dtype]
    tables, at_work = _at_work(model.shape, own, longest_tokens)
    if _goes_alone(model.shape, engine, longest_tokens):
        at_work = max(at_work, own.at_work + held + own.hidden_states_long * longest_tokens * _row(model.shape))
    pieces = 0 if seeded else model.shape.vocabulary
    return MemoryNeed(
        parts=(
            Part("front", table.front.base),
            Part("tokenizer", table.front.tokenizer[tokenizer_kind(model.shape)] * pieces / 1000),
            Part("weights, mapped once", parameters * BYTES[stored_dtype(engine, dtype)] if own.mapped else 0),
            Part("engines", workers * own.base),
            Part("weights in engines", workers * (held + tables)),
            Part("at work", workers * at_work),
        ),
        workers=workers,
    )


def tokenizer_kind(shape: Shape) -> TokenizerKind:
    """Which table the family's published tokenizers have; JinaBERT's larger vocabulary is RoBERTa's kind."""
    if shape.family in ("xlm-roberta", "deberta-v2"):
        return "unigram"
    return "bpe" if shape.family == "jinabert" and shape.vocabulary > BERT_PIECES else "wordpiece"


def _at_work(shape: Shape, own: EngineMemory, longest_tokens: float) -> tuple[float, float]:
    """MiB that one worker holds of tables of positions, and beyond its weights when it has worked."""
    tokens = max(TOKENS_AT_ONCE, longest_tokens)
    grown = own.at_work + own.hidden_states * tokens * _row(shape)
    positions = shape.relative_positions
    tables = own.relative_tables * shape.layers * positions * _row(shape)
    return tables, grown + own.relative_scores * shape.heads * tokens * positions * 4 / MIB


def _goes_alone(shape: Shape, engine: Engine, longest_tokens: float) -> bool:
    return engine == "openvino" and shape.family == "jinabert" and longest_tokens >= LONG


def _row(shape: Shape) -> float:
    """MiB of one token's hidden state in fp32."""
    return shape.hidden * 4 / MIB


def stored_dtype(engine: Engine, dtype: Dtype) -> Dtype:
    """What the artifact holds where the server computes in `dtype`: OpenVINO's is bf16 unless it is int8."""
    return "int8" if dtype == "int8" else "bf16" if engine == "openvino" else dtype


def workers_started(model: Model, engine: Engine, dtype: Dtype, *, cores: float, memory_mb: int) -> int:
    """Workers that the container starts by itself: one a core of openvino as far as it thinks that memory has room."""
    if engine != "openvino":
        return 1
    return max(1, min(math.floor(cores), workers_with_room(model.shape, dtype, memory_mib=memory_mb)))


def memory_on(
    model: Model, engine: Engine, dtype: Dtype, *, cores: float, memory_mb: int, longest_tokens: float
) -> MemoryNeed:
    """What a server on so many cores needs with as many workers as it starts or, where memory has no room for those,
    as fit; with one where none does, which is then more than there is."""
    workers = workers_started(model, engine, dtype, cores=cores, memory_mb=memory_mb)
    need = memory_of(model, engine, dtype, workers=workers, longest_tokens=longest_tokens)
    if workers == 1 or need.mib <= memory_mb:
        return need
    one = memory_of(model, engine, dtype, longest_tokens=longest_tokens).mib
    each = (need.mib - one) / (workers - 1)
    fitting = max(1, math.floor(1 + (memory_mb - one) / each))
    return memory_of(model, engine, dtype, workers=fitting, longest_tokens=longest_tokens)


def serverless_step(mib: float) -> int | None:
    """The least serverless memory size, in MB as AWS counts them, that holds so much; None where none does."""
    return next((size for size in load_limits().serverless.memory_mb if size >= mib), None)
