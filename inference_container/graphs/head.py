"""The head: two dense layers on each sequence's first token. A graph of its own, for it runs in fp32 whatever the
encoder runs in: it is a few rows only, and a bf16 logit near 9 has steps of 1/16."""

from __future__ import annotations

from openvino import Model, Type
from openvino import opset15 as op

from inference_container.graphs.layers import integers, linear
from inference_container.graphs.weights import Weights
from rerank_toolkit.catalog.shapes import Family, Shape

_DENSE: dict[Family, tuple[str, str]] = {
    "bert": ("bert.pooler.dense", "classifier"),
    "jinabert": ("bert.pooler.dense", "classifier"),
    "xlm-roberta": ("classifier.dense", "classifier.out_proj"),
    "deberta-v2": ("pooler.dense", "classifier"),
}


def build_head(shape: Shape, weights: Weights) -> Model:
    """First tokens of the last layer, f32 (sequences, hidden), to logits, f32 (sequences,)."""
    first = op.parameter([-1, shape.hidden], Type.f32, name="first")
    dense, projection = _DENSE[shape.family]
    pooled = linear(first, weights, dense)
    pooled = op.gelu(pooled, "erf") if shape.family == "deberta-v2" else op.tanh(pooled)
    logits = op.squeeze(linear(pooled, weights, projection), integers(1))
    return Model([op.result(logits)], [first], "head")
