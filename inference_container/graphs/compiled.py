"""A graph made ready to run on this machine's CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import openvino
from numpy.typing import NDArray

from inference_container.graphs.weights import Weights
from rerank_toolkit.contracts.manifest import Dtype

VERSION: str = openvino.__version__.partition("-")[0]  # without build number and branch

Precision = Literal["f32", "bf16", "f16"]
DTYPES: Mapping[Precision, Dtype] = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


_KERNELS_KEPT = 500
"""Kernels that the plugin keeps for shapes it may meet again. Its own bound is ten times that, which a process would
grow into for as long as new shapes come; this one costs no speed that could be told from noise."""

_DECOMPRESSION = "decompression_0"
"""Name and version of an attribute of OpenVINO's."""


class CompiledGraph:
    """A graph with kernels, and the one request that runs it: not for two threads at once."""

    def __init__(self, model: openvino.Model, weights: Weights, *, threads: int, precision: Precision) -> None:
        """Compiles `model` for `threads` > 0 threads; matrix products and what lies between them in `precision`.

        It keeps `weights`, in whose memory constants of the model lie.
        """
        if precision == "bf16":
            _keep_as_stored(model)
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # several processes would all pin themselves to the same core
            "CPU_RUNTIME_CACHE_CAPACITY": _KERNELS_KEPT,
        }
        self._weights = weights
        self._request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The graph's outputs, in memory of the caller's own."""
        tensors = {
            # An array that may not be written to can't be shared, though nothing writes.
            name: openvino.Tensor(np.require(value, requirements=["C", "W"]), shared_memory=True)
            for name, value in inputs.items()
        }
        self._request.infer(tensors)
        return [tensor.data.copy() for tensor in self._request.output_tensors]  # the request writes to them again


def _keep_as_stored(model: openvino.Model) -> None:
    """Has the plugin leave weights in bf16 where they lie, and each kernel take its copy from there.

    Otherwise it widens them to fp32 first and holds that for as long as the graph lives: 4 bytes a parameter beside
    the kernels' 2. The mark is the one that OpenVINO's own files carry for compressed weights. Kernels of fp32 gain
    nothing by it: the one that it picks for most products takes fp32 constants only, those that stand in for it keep
    as much. Nor is it for Arm's fp16, where nobody has looked.
    """
    for node in model.get_ops():
        if node.get_type_name() != "Convert":
            continue
        source = node.input_value(0)
        if source.get_node().get_type_name() == "Constant" and source.get_element_type() == openvino.Type.bf16:
            node.rt_info[_DECOMPRESSION] = ""


def reduced_precision() -> Precision:
    """The fastest precision of this CPU: bf16 if it multiplies that, f16 if it multiplies that (Arm), else f32."""
    hint = openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT")  # the plugin's own default
    if hint == openvino.Type.bf16:
        return "bf16"
    return "f16" if hint == openvino.Type.f16 else "f32"
