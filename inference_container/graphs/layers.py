"""Parts of every graph, made from an artifact's tensors by their published names.

`linear` is the only place where a weight matrix enters a graph, so it is where another way to store or multiply
one (int8 with its scales) belongs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from openvino import Node, Shape, Tensor, Type
from openvino import opset15 as op
from openvino.op import Constant

from inference_container.graphs.weights import Weight, Weights

_TYPES = {"F32": Type.f32, "F16": Type.f16, "BF16": Type.bf16}


def linear(x: Node, weights: Weights, *names: str, bias: bool = True) -> Node:
    """x (..., inputs) through one or more dense layers at once: (..., outputs of all of them, side by side)."""
    product = op.matmul(x, joined(weights, [f"{name}.weight" for name in names]), transpose_a=False, transpose_b=True)
    return op.add(product, joined(weights, [f"{name}.bias" for name in names])) if bias else product


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
