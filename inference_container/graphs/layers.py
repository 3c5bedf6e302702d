"""Parts of every graph, made from an artifact's tensors by their published names.

`linears` is the only place where a weight matrix enters a graph, in floating point or, where scales come with it, in
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


def linear(x: Node, weights: Weights, name: str, *, bias: bool = True) -> Node:
    """x (..., inputs) through a dense layer: (..., outputs)."""
    (product,) = linears(x, weights, name, bias=bias)
    return product


def linears(x: Node, weights: Weights, *names: str, bias: bool = True) -> list[Node]:
    """x (..., inputs) through each of several dense layers: (..., outputs of that layer).

    One product with their weights side by side would be no faster, and would need a copy of them.
    """
    if f"{names[0]}{SCALE}" in weights:
        return _int8_linears(x, weights, names, bias=bias)
    products = [
        op.matmul(x, constant(weights[f"{name}.weight"]), transpose_a=False, transpose_b=True) for name in names
    ]
    if not bias:
        return products
    return [op.add(y, constant(weights[f"{name}.bias"])) for y, name in zip(products, names, strict=True)]


def _int8_linears(x: Node, weights: Weights, names: Sequence[str], *, bias: bool) -> list[Node]:
    """As `linears`, with the codes of int8.py, which are the same for layers that read the same input.

    The plugin makes the codes in the kernel before, multiplies integers, and adds and scales as it writes the result.
    """
    low, step = (weights[f"{names[0]}{part}"].data for part in (LOW, STEP))  # (inputs,)
    codes = op.add(op.multiply(x, op.constant(1 / step)), op.constant(-low / step))
    ends = [op.constant(np.float32(end)) for end in (0, 255)]
    codes = op.fake_quantize(codes, *ends, *ends, 256)  # rounded, and kept within 0 and 255
    products = []
    for name in names:
        weight = weights[f"{name}{WEIGHT}"]  # (outputs, inputs)
        scale = weights[f"{name}{SCALE}"].data  # (outputs,)
        widened = op.multiply(constant(weight), op.constant(scale[:, None]))
        shift = scale * (weight.data.astype(np.float64) @ (low / step))
        if bias:
            shift = shift + weights[f"{name}.bias"].widened()
        product = op.matmul(codes, widened, transpose_a=False, transpose_b=True)
        products.append(op.add(product, op.constant(shift.astype(np.float32))))
    return products


def layer_norm(x: Node, weights: Weights, name: str, eps: float) -> Node:
    """x (..., hidden), each row to mean 0 and variance 1, then scaled and shifted."""
    normed = op.mvn(x, integers(-1), normalize_variance=True, eps=eps, eps_mode="inside_sqrt")
    return op.add(op.multiply(normed, constant(weights[f"{name}.weight"])), constant(weights[f"{name}.bias"]))


def constant(weight: Weight) -> Node:
    """A tensor as an fp32 value. Its memory is shared: it must stay for as long as the graph."""
    stored = Constant(Tensor(weight.data, Shape(weight.shape), _TYPES[weight.dtype]), True)
    return stored if weight.dtype == "F32" else op.convert(stored, "f32")


def integers(*values: int) -> Node:
    """A constant list, as axes, sizes and the like are given."""
    return op.constant(np.array(values, dtype=np.int64))
