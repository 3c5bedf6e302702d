"""What a server's processes need of memory, part by part.

A server is a front, which tokenises, and one or more workers, each with an engine. The artifact's weights are mapped
from one file, so workers share those pages; what an engine makes of them is its own. The parts' sizes stand in
memory.toml: measured once, on models of which the validation then predicts others.
"""

from __future__ import annotations

import math
from datetime import date
from functools import cache
from pathlib import Path

import msgspec

from cost_model.gpu import encoder_parameters
from cost_model.service_time import Speed
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.manifest import Dtype, Engine

TABLE = Path(__file__).with_name("memory.toml")

MIB = 1 << 20
BYTES: dict[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}

TOKENS_AT_ONCE = 1024
"""What a worker takes through its graph at once; a longer document goes alone."""

LONG = 3072
"""Tokens from which on OpenVINO takes a JinaBERT document through graphs of their own."""

WORKER_FRONT_MIB = 512
WORKER_MIB = 256
"""What the container counts for its front and for a worker beside its weights when it decides how many to start."""


class Front(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    base: float
    per_1000_tokens_of_vocabulary: float


class EngineMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one worker; MiB, and bytes of each of the encoder's parameters."""

    base: float
    """Interpreter and library."""
    constants: float
    kernels: dict[Dtype, float]
    at_work: float
    """What the first requests leave behind: kernels for their shapes, arenas of the allocator."""
    hidden_states: float
    """Of each token in a batch, held at once, in fp32."""
    hidden_states_long: float
    """The same of a document that goes through an engine of its own, for which the weights are held once more."""


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
        parts = ", ".join(f"{part.name} {part.mib:,.0f}" for part in self.parts)
        count = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        return f"by parts measured on {load_memory().measured}, {count}: {parts} MiB"


@cache
def load_memory() -> MemoryTable:
    return msgspec.toml.decode(TABLE.read_bytes(), type=MemoryTable)


def weights_mib(model: Model, dtype: Dtype) -> float:
    """All of a model's weights in the dtype, as its artifact holds them."""
    return model.parameters * BYTES[dtype] / MIB


def memory_of(
    model: Model, engine: Engine, dtype: Dtype, *, workers: int = 1, longest_tokens: float = 512
) -> MemoryNeed:
    """The peak of a server that has seen documents of `longest_tokens`; `dtype` is what it computes in."""
    table = load_memory()
    own = table.of(engine)
    parameters = encoder_parameters(model.shape) / MIB
    tokenizer = table.front.per_1000_tokens_of_vocabulary * model.shape.vocabulary / 1000
    mapped = parameters * BYTES[stored_dtype(engine, dtype)]
    held = parameters * (own.constants + own.kernels[dtype])
    hidden_state = model.shape.hidden * 4 / MIB
    activations = own.hidden_states * hidden_state * min(max(TOKENS_AT_ONCE, longest_tokens), LONG)
    if longest_tokens >= LONG and model.family == "jinabert" and engine == "openvino":
        activations = max(activations, held + own.hidden_states_long * hidden_state * longest_tokens)
    elif longest_tokens >= LONG:
        activations *= longest_tokens / LONG
    return MemoryNeed(
        parts=(
            Part("front", table.front.base),
            Part("tokenizer", tokenizer),
            Part("engine", workers * own.base),
            Part("weights, mapped once", mapped),
            Part("weights as each engine holds them", workers * held),
            Part("at work", workers * (own.at_work + activations)),
        ),
        workers=workers,
    )


def stored_dtype(engine: Engine, dtype: Dtype) -> Dtype:
    """What the artifact holds where the server computes in `dtype`: OpenVINO's is bf16, whatever the CPU makes of it."""
    return "int8" if dtype == "int8" else "bf16" if engine == "openvino" else dtype


def workers_started(model: Model, engine: Engine, dtype: Dtype, *, cores: float, memory_mb: int) -> int:
    """Workers that the container starts by itself: one a core of openvino as far as it thinks that memory has room."""
    if engine != "openvino":
        return 1
    each = WORKER_MIB + weights_mib(model, stored_dtype(engine, dtype))
    return max(1, min(math.floor(cores), int((memory_mb - WORKER_FRONT_MIB) / each)))


def memory_needed(model: Model, dtype: Dtype, speed: Speed, *, workers: int = 1) -> tuple[float, str]:
    """MiB of host memory at the peak of the workload that `speed` was found for, and how it is known."""
    engine = speed.measured.profile.engine
    need = memory_of(model, engine, dtype, workers=workers, longest_tokens=speed.longest_tokens)
    return need.mib, need.basis


def serverless_step(mib: float) -> int | None:
    """The least serverless memory size, in MB as AWS counts them, that holds so much; None where none does."""
    return next((size for size in load_limits().serverless.memory_mb if size >= mib), None)
