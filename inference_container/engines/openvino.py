"""The CPU engine: OpenVINO on a graph made from the artifact's tensors. No torch, no model file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_container.artifact import Artifact
from inference_container.engines import RaggedBatch, UnsupportedModel
from inference_container.graphs.bert import MASKED, nearness
from inference_container.graphs.compiled import DTYPES, VERSION, CompiledGraph, Precision, reduced_precision
from inference_container.graphs.encoder import build_encoder
from inference_container.graphs.head import build_head
from inference_container.graphs.long import LongEncoder
from inference_container.graphs.weights import map_weights
from inference_container.hardware import describe_hardware
from rerank_toolkit.catalog.instances import VNNI_INSTRUCTION_SETS
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.manifest import Dtype

TOKENS_AT_ONCE = 1024
"""Padded tokens in one pass through the graph at most, unless a sequence is longer: bounds the activations."""

PASS_COST = 60
"""What a pass costs besides its tokens, in tokens: reading the weights, and the nodes between the matrix products.
Measured at 2.5 to 3 ms beside 45 to 50 µs a token, on tiny and MiniLM-L-6 in bf16."""

LONG = 3072
"""Tokens from which on a JinaBERT sequence goes alone through graphs.long. Not below TOKENS_AT_ONCE."""

STEP = 8
"""Lengths are padded to multiples of this: the plugin prepares kernels for each new shape, and keeps them."""


class OpenVinoEngine:
    """A cross-encoder in memory, on the CPU."""

    name = "openvino"
    version: str = VERSION

    def __init__(self, artifact: Artifact, *, threads: int) -> None:
        """Maps the weights and compiles the graph for `threads` > 0 compute threads.

        Raises UnsupportedModel for a head of several logits or int8 without VNNI, ArtifactError for a file that is not
        safetensors, InvalidInput with every tensor that is missing, left over or of another size.
        """
        manifest = artifact.manifest
        shape = manifest.shape
        check_supported(shape, manifest.dtype)
        precision: Precision = "f32" if manifest.dtype == "fp32" else reduced_precision()
        self.dtype: Dtype = "int8" if manifest.dtype == "int8" else DTYPES[precision]
        self.computed_tokens = 0
        self._shape, self._threads, self._precision = shape, threads, precision
        self._weights = weights = map_weights(artifact)
        self._words = weights[next(name for name in weights if name.endswith("word_embeddings.weight"))]
        self._typed = shape.token_types > 1
        self._alibi = shape.family == "jinabert"
        self._long: LongEncoder | None = None  # when the first long sequence comes: most processes never see one
        with weights.passing():  # kernels copy the weights at their first pass, and never look at them again
            self._encoder = CompiledGraph(build_encoder(shape, weights), weights, threads=threads, precision=precision)
            self._head = CompiledGraph(build_head(shape, weights), weights, threads=threads, precision="f32")
            ids = np.zeros(STEP, dtype=np.int32)
            self.score(RaggedBatch.of([ids], [ids]))

    def score(self, batch: RaggedBatch) -> NDArray[np.float32]:
        """Relevance logits, (sequences,)."""
        lengths = np.diff(batch.offsets)
        first = np.empty((batch.sequences, self._words.shape[1]), dtype=np.float32)
        self.computed_tokens = 0
        for places in passes(lengths):
            if self._alibi and lengths[places[0]] >= LONG:
                first[places] = self._encode_long(batch, int(places[0]))
            else:
                first[places] = self._encode(batch, places, lengths[places])
        (logits,) = self._head({"first": first})
        return logits

    def _encode(self, batch: RaggedBatch, places: NDArray[np.intp], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """The first tokens of the sequences at `places`, (places, hidden)."""
        width = int(padded(lengths).max())
        self.computed_tokens += len(places) * width
        columns = np.arange(width)
        real = columns < lengths[:, None]  # (B, L)
        tokens = np.where(real, batch.offsets[places, None] + columns, 0)
        inputs: dict[str, NDArray[Any]] = {
            "embeddings": self._words.rows(batch.ids[tokens]),  # (B, L, hidden)
            "mask": np.where(real, np.float32(0), MASKED)[:, None, None, :],  # (B, 1, 1, L)
        }
        if self._alibi:
            inputs["nearness"] = nearness(range(width), range(width))
            inputs["nearness_to_first"] = inputs["nearness"][:, :, :1]
        if self._typed:
            inputs["type_ids"] = batch.type_ids[tokens]
        (first,) = self._encoder(inputs)
        return first

    def _encode_long(self, batch: RaggedBatch, place: int) -> NDArray[np.float32]:
        """The first token of the sequence at `place`, (hidden,)."""
        tokens = slice(int(batch.offsets[place]), int(batch.offsets[place + 1]))
        self.computed_tokens += tokens.stop - tokens.start
        inputs = self._words.rows(batch.ids[tokens]), batch.type_ids[tokens]
        if self._long:
            return self._long(*inputs)
        with self._weights.passing():  # as in __init__
            self._long = LongEncoder(self._shape, self._weights, threads=self._threads, precision=self._precision)
            return self._long(*inputs)


def passes(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    """Places of the sequences that go through the graph together: TOKENS_AT_ONCE with padding, or one alone.

    Of all ways to cut the sequences, sorted by length, into passes the cheapest: few passes mean much padding, little
    padding means many passes.
    """
    order = np.argsort(lengths, kind="stable")
    widths = padded(lengths[order])
    cost = np.zeros(len(order) + 1)  # of the first sequences, cut in the best way
    start = np.zeros(len(order) + 1, dtype=np.intp)  # of the last pass among them
    for end in range(1, len(order) + 1):
        width = widths[end - 1]
        first = max(0, min(end - 1, end - TOKENS_AT_ONCE // width))
        costs = cost[first:end] + width * np.arange(end - first, 0, -1) + PASS_COST
        best = int(costs.argmin())
        cost[end], start[end] = costs[best], first + best
    end = len(order)
    while end:
        yield order[start[end] : end]
        end = start[end]


def padded(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return -(-lengths // STEP) * STEP


def check_supported(shape: Shape, dtype: Dtype) -> None:
    """Raises UnsupportedModel with all that keeps this engine from running a model of this shape on this machine."""
    reasons = []
    if shape.labels != 1:
        reasons.append(f"labels is {shape.labels}; expected 1, for a reranker has one logit")
    if dtype == "int8" and (found := describe_hardware().instruction_set) not in VNNI_INSTRUCTION_SETS:
        reasons.append(f"dtype is int8, and this CPU has {found}, without VNNI; package the model in bf16")
    if reasons:
        raise UnsupportedModel(
            "\n".join(["the openvino engine can't run this artifact:", *(f"  {reason}" for reason in reasons)])
        )
