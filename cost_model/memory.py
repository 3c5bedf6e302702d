"""What a server process needs of memory."""

from __future__ import annotations

from cost_model.hardware import load_hardware
from cost_model.service_time import Speed
from rerank_toolkit.catalog.models import Model, load_models
from rerank_toolkit.contracts.manifest import Dtype

MIB = 1 << 20
BYTES: dict[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}


def weights_mib(model: Model, dtype: Dtype) -> float:
    return model.parameters * BYTES[dtype] / MIB


def memory_needed(model: Model, dtype: Dtype, speed: Speed) -> tuple[float, str]:
    """MiB of host memory at the peak, and how it is known.

    The measured peak of this very model, else its weights and what the measured process held beside its own, else
    its weights and an assumed rest. A peak is that of the requests that were measured: for a workload beyond them
    what the process grew by at work is counted twice, an assumption.
    """
    profile = speed.measured.profile
    if profile.memory is None:
        rest = load_hardware().assumed.runtime_mib
        return weights_mib(model, dtype) + rest, f"weights and an assumed {rest:g} MiB"
    peak = profile.memory.peak_mib
    basis = f"the peak over requests of up to {max(cell.tokens for cell in profile.cells):,} tokens"
    if speed.beyond:
        growth = peak - profile.memory.idle_mib
        peak += growth
        basis += f", and for the workload beyond them an assumed {growth:.0f} MiB more"
    if (profile.model_id, profile.dtype) == (model.id, dtype):
        return peak, f"measured, {basis}"
    other = load_models()[profile.model_id]
    rest = max(peak - weights_mib(other, profile.dtype), 0.0)
    return weights_mib(
        model, dtype
    ) + rest, f"weights and the {rest:.0f} MiB that {other.id} held beside its own ({basis})"
