"""Parts of every graph, made from an artifact's tensors by their published names.

`linear` is the only place where a weight matrix enters a graph, in floating point or, where scales come with it, in
int8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from openvino import Node, Shape, Tensor, Type
from openvino import opset15 as op
from openvino.op import Constant

from inference_container.checkpoints import LOW, SCALE, STEP, WEIGHT
from inference_container.graphs.weights import Weight, Weights

_TYPES = {"F32": Type.f32, "F16": Type.f16, "BF16": Type.bf16, "I8": Type.i8}


def linear(x: Node, weights: Weights, *names: str, bias: bool = True) -> Node:
    """x (..., inputs) through one or more dense layers at once: (..., outputs of all of them, side by side)."""
    if f"{names[0]}{SCALE}" in weights:
        return _int8_linear(x, weights, names, bias=bias)
    product = op.matmul(x, joined(weights, [f"{name}.weight" for name in names]), transpose_a=False, transpose_b=True)
    return op.add(product, joined(weights, [f"{name}.bias" for name in names])) if bias else product


def _int8_linear(x: Node, weights: Weights, names: Sequence[str], *, bias: bool) -> Node:
    """As `linear`, of layers that read the same input, with the codes of int8.py.

    The plugin makes the codes in the kernel before, multiplies integers, and adds and scales as it writes the result.
    """
    low, step = (weights[f"{names[0]}{part}"].data for part in (LOW, STEP))  # (inputs,)
    codes = op.add(op.multiply(x, op.constant(1 / step)), op.constant(-low / step))
    ends = [op.constant(np.float32(end)) for end in (0, 255)]
    codes = op.fake_quantize(codes, *ends, *ends, 256)  # rounded, and kept within 0 and 255
    weight = np.concatenate([weights[f"{name}{WEIGHT}"].data for name in names])  # (outputs, inputs)
    scale = np.concatenate([weights[f"{name}{SCALE}"].data for name in names])  # (outputs,)
    widened = op.multiply(constant(Weight(weight, "I8"), shared=False), op.constant(scale[:, None]))
    shift = scale * (weight.astype(np.float64) @ (low / step))
    if bias:
        shift = shift + np.concatenate([weights[f"{name}.bias"].widened() for name in names])
    product = op.matmul(codes, widened, transpose_a=False, transpose_b=True)
    return op.add(product, op.constant(shift.astype(np.float32)))


def layer_norm(x: Node, weights: Weights, name: str, eps: float) -> Node:
    """x (..., hidden), each row to mean 0 and variance 1, then scaled and shifted."""
    normed = op.mvn(x, integers(-1), normalize_variance=True, eps=eps, eps_mode="inside_sqrt")
    return op.add(op.multiply(normed, constant(weights[f"{name}.weight"])), constant(weights[f"{name}.bias"]))


def joined(weights: Weights, names: Sequence[str]) -> Node:
    """Tensors below each other as one fp32 value."""
    parts = [weights[name] for name in names]
    if len(parts) == 1:
        return constant(parts[0])
    if len({part.dtype for part in parts}) == 1:
        return constant(Weight(np.concatenate([part.data for part in parts]), parts[0].dtype), shared=False)
    return constant(Weight(np.concatenate([part.widened() for part in parts]), "F32"), shared=False)


def constant(weight: Weight, *, shared: bool = True) -> Node:
    """A tensor as an fp32 value. If `shared`, its memory must stay until the graph is compiled, else it is copied."""
    stored = Constant(Tensor(weight.data, Shape(weight.shape), _TYPES[weight.dtype]), shared)
    return stored if weight.dtype == "F32" else op.convert(stored, "f32")


def integers(*values: int) -> Node:
    """A constant list, as axes, sizes and the like are given."""
    return op.constant(np.array(values, dtype=np.int64))
