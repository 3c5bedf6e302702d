"""From weights as published to weights as an artifact stores them: number formats, tensor by tensor."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from inference_container.artifact import Artifact
from inference_container.calibration import load_calibration
from inference_container.checkpoints import Tensors
from inference_container.engines.loading import EngineMissing
from inference_container.fidelity import encode
from inference_container.hardware import describe_hardware
from inference_container.int8 import quantise
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Dtype, Engine

DTYPES: dict[Engine, tuple[Dtype, ...]] = {"openvino": ("bf16", "fp32", "int8"), "torch": ("fp32", "bf16", "fp16")}
"""What each engine can be packaged for."""

_FORMATS: dict[Dtype, np.dtype[Any]] = {
    "fp32": np.dtype(np.float32),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "fp16": np.dtype(np.float16),
}

_HEAD = ("pooler.", "classifier.")


def convert(tensors: Tensors, dtype: Dtype, reference: Artifact | None) -> dict[str, NDArray[Any]]:
    """The tensors of an artifact in `dtype`, of the published ones in fp32 or less.

    int8 needs the fp32 `reference`, run by torch: it has to see what goes into each layer. Raises EngineMissing
    without torch, InvalidInput for values beyond a format's range.
    """
    if dtype != "int8":
        return cast(tensors, dtype)
    if reference is None or reference.manifest.engine != "torch":
        raise EngineMissing("int8 is fitted to what the model computes in torch; install rerank-toolkit[serve,torch]")
    from inference_container.engines.torch_ranges import input_ranges  # noqa: PLC0415  # takes seconds to import

    batch, _ = encode(reference, load_calibration().fitted)
    ranges = input_ranges(reference, batch, threads=describe_hardware().physical_cores)
    return cast(tensors, "bf16") | quantise(tensors, ranges, reference.manifest.shape)


def cast(tensors: Tensors, dtype: Dtype) -> dict[str, NDArray[Any]]:
    """The tensors in `dtype`, but vectors (norms, biases) and the head in fp32.

    Those are a hundredth of the weights, and a logit near 9 has steps of 1/16 in bf16. Raises InvalidInput with each
    tensor that holds values beyond the format's range.
    """
    with np.errstate(over="ignore"):  # reported below, with names
        stored = {
            name: np.ascontiguousarray(tensor, dtype=_FORMATS["fp32" if _stays_fp32(name, tensor) else dtype])
            for name, tensor in tensors.items()
        }
    broken = [name for name, tensor in stored.items() if not np.isfinite(tensor).all()]
    if broken:
        faults = [Fault(name, f"holds values that are not finite in {dtype}") for name in broken]
        raise InvalidInput("weights", faults)
    return stored


def _stays_fp32(name: str, tensor: NDArray[Any]) -> bool:
    return tensor.ndim == 1 or any(part in name for part in _HEAD)
