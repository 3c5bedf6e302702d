"""How many OpenVINO workers a machine's memory has room for, as the container decides when it starts.

A worker is a process with kernels of its own, which hold the encoder's weights as they want them. The figures are
somewhat above what was measured (cost_model/memory.toml): a worker less costs a share of the speed, one too many
all of the server.
"""

from __future__ import annotations

from rerank_toolkit.catalog.instances import BF16_INSTRUCTION_SETS
from rerank_toolkit.catalog.shapes import Shape, encoder_parameters

MIB = 1 << 20

FRONT_MIB = 512
"""Kept for the front: requests of the largest body, on their way from bytes to tokens."""

ENGINE_MIB = 256
"""Of each worker: interpreter, library and activations."""

HELD = {"bf16": 2.4, "fp16": 6.6, "fp32": 9.6, "int8": 1.5}
"""Bytes of each of the encoder's parameters that a worker holds, by what it computes in. Where kernels can't take bf16
as it is stored they leave a copy in fp32 behind."""

TOKENS_AT_ONCE = 1024

_ARM = frozenset({"neon", "sve_bf16"})


def worker_mib(shape: Shape, dtype: str) -> float:
    """Of one worker that computes in `dtype`, which is a key of HELD, with documents of ordinary length."""
    return ENGINE_MIB + (encoder_parameters(shape) * HELD[dtype] + _distances(shape)) / MIB


def workers_with_room(shape: Shape, dtype: str, *, memory_mib: float) -> int:
    """At least 1, be there room for it or not."""
    return max(1, int((memory_mib - FRONT_MIB) / worker_mib(shape, dtype)))


def computed_in(stored: str, instruction_set: str) -> str:
    """What OpenVINO computes an artifact of `stored` numbers in, on a CPU with this instruction set."""
    if stored in ("fp32", "int8"):
        return stored
    if instruction_set in _ARM:
        return "fp16"
    return "bf16" if instruction_set in BF16_INSTRUCTION_SETS else "fp32"


def _distances(shape: Shape) -> float:
    """Bytes of DeBERTa's tables of distances, of each layer, and of its scores of a batch's tokens by distances."""
    tables = 4.2 * shape.layers * shape.hidden
    scores = 11 * shape.heads * TOKENS_AT_ONCE
    return (tables + scores) * shape.relative_positions * 4
