"""The encoder graph of a model, whatever its family."""

from __future__ import annotations

from openvino import Model

from inference_container.graphs import bert, deberta
from inference_container.graphs.weights import Weights
from rerank_toolkit.catalog.shapes import Shape


def build_encoder(shape: Shape, weights: Weights) -> Model:
    """The graph of `shape.family`; see the package for its inputs."""
    match shape.family:
        case "bert" | "jinabert":
            return bert.build(shape, weights, "bert")
        case "xlm-roberta":
            return bert.build(shape, weights, "roberta")
        case "deberta-v2":
            return deberta.build(shape, weights, "deberta")
