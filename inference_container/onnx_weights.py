"""Weights out of a dynamically quantised ONNX file, as fp32 under the published names.

onnxruntime's quantiser replaces a weight X by X_quantized (int8 or uint8), X_scale and X_zero_point, and a MatMul
by MatMulInteger. Exporters transpose the weights of linear layers, and name them after nothing (onnx::MatMul_1662);
the node that multiplies by one still carries the layer's path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # publishes no types
from numpy.typing import NDArray
from onnx import numpy_helper

from rerank_toolkit.contracts.errors import ToolkitError


class UnreadableOnnx(ToolkitError):
    """The file is no ONNX, or not one of a dynamically quantised encoder."""


Initialisers = Mapping[str, onnx.TensorProto]


def read_onnx(path: Path, *, name: str) -> dict[str, NDArray[np.float32]]:
    """The weights of the graph in `path`; raises UnreadableOnnx, which calls the file `name`."""
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except DecodeError as error:
        raise UnreadableOnnx(f"{name} is no ONNX file: {error}") from None
    initialisers = {tensor.name: tensor for tensor in graph.initializer}
    try:
        weights = _quantised_weights(graph.node, initialisers)
    except KeyError as error:
        raise UnreadableOnnx(f"{name} has int8 weights but no {error}; only onnxruntime's naming is read") from None
    if not weights:
        raise UnreadableOnnx(f"{name} holds no int8 weights; only dynamically quantised ONNX is read")
    return weights | _plain(initialisers)


def _quantised_weights(nodes: Iterable[onnx.NodeProto], initialisers: Initialisers) -> dict[str, NDArray[np.float32]]:
    weights: dict[str, NDArray[np.float32]] = {}
    for node in nodes:
        if node.op_type == "MatMulInteger" and node.input[1] in initialisers:
            module = node.name.strip("/").replace("/", ".").rpartition(".")[0]
            weights[f"{module}.weight"] = np.ascontiguousarray(_dequantise(node.input[1], initialisers).T)
        elif node.op_type == "Gather" and node.input[0].endswith("_quantized") and node.input[0] in initialisers:
            weights[node.input[0].removesuffix("_quantized")] = _dequantise(node.input[0], initialisers)
    return weights


def _dequantise(name: str, initialisers: Initialisers) -> NDArray[np.float32]:
    """(q − zero point) · scale, the definition of ONNX's DequantizeLinear; both are scalars for the whole tensor."""
    stem = name.removesuffix("_quantized")
    scale, zero_point = (numpy_helper.to_array(initialisers[f"{stem}_{part}"]) for part in ("scale", "zero_point"))
    quantised = numpy_helper.to_array(initialisers[name])
    return (quantised.astype(np.float32) - zero_point.astype(np.float32)) * scale.astype(np.float32)


def _plain(initialisers: Initialisers) -> dict[str, NDArray[np.float32]]:
    """Biases and layer norms, which stay fp32 under their own names."""
    return {
        name: numpy_helper.to_array(tensor)
        for name, tensor in initialisers.items()
        if tensor.data_type == onnx.TensorProto.FLOAT and name.endswith((".weight", ".bias"))
    }
