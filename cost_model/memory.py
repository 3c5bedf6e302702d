"""What a server process needs of memory."""

from __future__ import annotations

from cost_model.hardware import load_hardware
from cost_model.service_time import MeasuredModel
from rerank_toolkit.catalog.models import Model, load_models
from rerank_toolkit.contracts.manifest import Dtype

MIB = 1 << 20
BYTES: dict[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}


def weights_mib(model: Model, dtype: Dtype) -> float:
    return model.parameters * BYTES[dtype] / MIB


def memory_needed(model: Model, dtype: Dtype, measured: MeasuredModel) -> tuple[float, str]:
    """MiB of host memory at the peak, and how it is known.

    The measured peak of this very model, else its weights and what the measured process held beside its own, else
    its weights and an assumed rest.
    """
    profile = measured.profile
    if profile.memory is None:
        rest = load_hardware().assumed.runtime_mib
        return weights_mib(model, dtype) + rest, f"weights and an assumed {rest:g} MiB"
    if (profile.model_id, profile.dtype) == (model.id, dtype):
        return profile.memory.peak_mib, "measured"
    other = load_models()[profile.model_id]
    rest = max(profile.memory.peak_mib - weights_mib(other, profile.dtype), 0.0)
    return weights_mib(model, dtype) + rest, f"weights and the {rest:.0f} MiB that {other.id} held beside its own"
