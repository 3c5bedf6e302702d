"""The CPU engine: OpenVINO on a graph made from the artifact's tensors. No torch, no model file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_container.artifact import Artifact
from inference_container.engines import FAMILIES, RaggedBatch, UnsupportedModel
from inference_container.graphs.compiled import DTYPES, VERSION, CompiledGraph, Precision, reduced_precision
from inference_container.graphs.encoder import build_encoder
from inference_container.graphs.head import build_head
from inference_container.graphs.weights import map_weights
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.manifest import Dtype

TOKENS_AT_ONCE = 768
"""Padded tokens in one pass through the graph, unless a sequence is longer. Few, so that activations stay in the
core's cache; many enough for the matrix products to be efficient."""

STEP = 8
"""Lengths are padded to multiples of this: the plugin prepares kernels for each new shape, and keeps them."""

_RUNS: tuple[Dtype, ...] = ("fp32", "bf16", "fp16")


class OpenVinoEngine:
    """A cross-encoder in memory, on the CPU."""

    name = "openvino"
    version: str = VERSION

    def __init__(self, artifact: Artifact, *, threads: int) -> None:
        """Maps the weights and compiles the graph for `threads` > 0 compute threads.

        Raises UnsupportedModel for a family, head or dtype without a graph here, ArtifactError for a file that is not
        safetensors, InvalidInput with every tensor that is missing, left over or of another size.
        """
        manifest = artifact.manifest
        shape = manifest.shape
        check_supported(shape, manifest.dtype)
        precision: Precision = "f32" if manifest.dtype == "fp32" else reduced_precision()
        self.dtype: Dtype = DTYPES[precision]
        self.computed_tokens = 0
        weights = map_weights(artifact)
        self._words = weights[next(name for name in weights if name.endswith("word_embeddings.weight"))]
        self._encoder = CompiledGraph(build_encoder(shape, weights), threads=threads, precision=precision)
        self._head = CompiledGraph(build_head(shape, weights), threads=threads, precision="f32")
        self._typed = shape.token_types > 1

    def score(self, batch: RaggedBatch) -> NDArray[np.float32]:
        """Relevance logits, (sequences,)."""
        lengths = np.diff(batch.offsets)
        first = np.empty((batch.sequences, self._words.shape[1]), dtype=np.float32)
        self.computed_tokens = 0
        for places in passes(lengths):
            first[places] = self._encode(batch, places, lengths[places])
        return self._head({"first": first})

    def _encode(self, batch: RaggedBatch, places: NDArray[np.intp], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """The first tokens of the sequences at `places`, (places, hidden)."""
        width = padded(int(lengths.max()))
        self.computed_tokens += len(places) * width
        columns = np.arange(width)
        real = columns < lengths[:, None]  # (B, L)
        tokens = np.where(real, batch.offsets[places, None] + columns, 0)
        inputs: dict[str, NDArray[Any]] = {
            "embeddings": self._words.rows(batch.ids[tokens]),  # (B, L, hidden)
            "lengths": lengths.astype(np.int32),
        }
        if self._typed:
            inputs["type_ids"] = batch.type_ids[tokens]
        return self._encoder(inputs)


def passes(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    """Places of the sequences that go through the graph together: near in length, TOKENS_AT_ONCE or one alone."""
    order = np.argsort(lengths, kind="stable")
    first = 0
    for index, place in enumerate(order):
        if (index - first + 1) * padded(int(lengths[place])) > TOKENS_AT_ONCE and index > first:
            yield order[first:index]
            first = index
    yield order[first:]


def padded(length: int) -> int:
    return -(-length // STEP) * STEP


def check_supported(shape: Shape, dtype: Dtype) -> None:
    """Raises UnsupportedModel with all that keeps this engine from running a model of this shape."""
    reasons = []
    if shape.family not in FAMILIES["openvino"]:
        reasons.append(f"family is {shape.family}; it runs {', '.join(FAMILIES['openvino'])}")
    if shape.labels != 1:
        reasons.append(f"labels is {shape.labels}; a reranker has one logit")
    if dtype not in _RUNS:
        reasons.append(f"dtype is {dtype}; it runs {', '.join(_RUNS)}")
    if reasons:
        raise UnsupportedModel(
            "\n".join(["the openvino engine can't run this artifact:", *(f"  {reason}" for reason in reasons)])
        )
