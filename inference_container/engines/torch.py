"""The reference engine: plain PyTorch, on the GPU if there is one, else on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from inference_container.artifact import WEIGHTS, Artifact, ArtifactError
from inference_container.checkpoints import normalise
from inference_container.engines import RaggedBatch, UnsupportedModel
from inference_container.models.cross_encoder import CrossEncoder
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Dtype

DTYPES: dict[Dtype, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TOKENS_AT_ONCE = 16_384
"""Tokens in one pass through the model; larger batches are split between sequences. Bounds the activations:
about ten tensors of (tokens, hidden), 250 MB at hidden 384 and fp32."""


class TorchEngine:
    """A cross-encoder in memory. Weights are mapped from the artifact's file, converted where the dtype differs."""

    name = "torch"
    version: str = torch.__version__

    def __init__(self, artifact: Artifact, *, threads: int) -> None:
        """Loads the weights; `threads` > 0 compute threads, which torch sets for the whole process.

        Raises UnsupportedModel for a head or dtype without code here, ArtifactError for a file that is
        not safetensors, InvalidInput with every tensor that is missing, left over or of another size.
        """
        manifest = artifact.manifest
        check_supported(manifest.shape, manifest.dtype)
        torch.set_num_threads(threads)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = runnable(manifest.dtype, self.device)
        self.model = load_model(artifact).convert(DTYPES[self.dtype]).to(self.device).eval()

    def score(self, batch: RaggedBatch) -> NDArray[np.float32]:
        """Relevance logits, (sequences,)."""
        with torch.inference_mode():
            logits = torch.cat([self._forward(batch, first, last) for first, last in passes(batch.offsets)])
        scores: NDArray[np.float32] = logits.cpu().numpy()
        return scores

    def _forward(self, batch: RaggedBatch, first: int, last: int) -> torch.Tensor:
        offsets = batch.offsets[first : last + 1]
        tokens = slice(int(offsets[0]), int(offsets[-1]))
        ids, type_ids = (
            torch.from_numpy(np.ascontiguousarray(values[tokens])).to(self.device)
            for values in (batch.ids, batch.type_ids)
        )
        logits: torch.Tensor = self.model(ids, type_ids, (offsets - offsets[0]).tolist())
        return logits[:, 0]


def runnable(dtype: Dtype, device: torch.device) -> Dtype:
    """`dtype`, or fp32 in place of bf16 on a GPU older than Ampere (a T4, say), which computes no bf16."""
    if dtype == "bf16" and device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return "fp32"
    return dtype


def passes(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of sequences [first, last) of at most TOKENS_AT_ONCE tokens each, or of one longer sequence."""
    first = 0
    for index, (_, end) in enumerate(pairwise(offsets.tolist())):
        if end - offsets[first] > TOKENS_AT_ONCE and index > first:
            yield first, index
            first = index
    yield first, len(offsets) - 1


def check_supported(shape: Shape, dtype: Dtype) -> None:
    """Raises UnsupportedModel with all that keeps the torch engine from running a model of this shape."""
    reasons = []
    if shape.labels != 1:
        reasons.append(f"labels is {shape.labels}; a reranker has one logit")
    if dtype not in DTYPES:
        reasons.append(f"dtype is {dtype}; it runs {', '.join(DTYPES)}")
    if reasons:
        raise UnsupportedModel(
            "\n".join(["the torch engine can't run this artifact:", *(f"  {reason}" for reason in reasons)])
        )


def load_model(artifact: Artifact) -> CrossEncoder:
    """The artifact's model with the weights as stored, mapped from the file; see TorchEngine for the errors."""
    shape, file = artifact.manifest.shape, artifact.file(WEIGHTS)
    try:
        stored = load_file(file)
    except SafetensorError as error:
        fault = Fault(WEIGHTS, f"can't be read as safetensors: {error}")
        raise ArtifactError(artifact.path, [fault], "Make it again: rerank package MODEL --out DIR --force") from error
    tensors = cast(dict[str, Any], stored)  # checked by shape alone, which arrays and tensors share
    with torch.device("meta"):
        model = CrossEncoder(shape)
    model.load_state_dict(normalise(tensors, shape, name=str(file)), assign=True)
    return model
