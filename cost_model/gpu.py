"""Seconds of a batch on a GPU that was not measured: a roofline whose free terms are fitted to published figures.

    seconds = layers · (launch + serial · longest) + FLOPs / peak + bytes / bandwidth

FLOPs are the model's at the dense peak; bytes are the weights once, `token_passes` times the hidden state of every
token in every layer, and `score_passes` times every attention score. All four free terms belong to the software, so
that a law fitted on one GPU is carried to another by its peak and its bandwidth. They stand in gpu.toml with where
they come from; `python -m tools.validate` fits them again and shows them beside what was published.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from cost_model.hardware import Peak
from rerank_toolkit.catalog.shapes import Shape, encoder_parameters, flops_terms

TABLE = Path(__file__).with_name("gpu.toml")

BYTES_FP16 = 2

TOKEN_BUDGET = 8192
"""In a batch of the container's on a GPU."""


class GpuLaw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    launch_s: float
    """Of a layer, whatever is in the batch."""
    serial_s: float
    """Of a layer for each token of the longest sequence: what more parallel hardware doesn't take away."""
    token_passes: float
    score_passes: float
    error: float
    """Median of the relative errors on published figures that it was not fitted to."""
    source: str

    def seconds(self, shape: Shape, *, sequences: float, tokens: float, squared_tokens: float, peak: Peak) -> float:
        """Of a batch on the GPU of `peak`, in fp16. Raises ValueError where the bandwidth isn't known."""
        if peak.bandwidth is None:
            raise ValueError(f"no memory bandwidth is known: {peak.formula}")
        of_token, of_square = flops_terms(shape, tokens / sequences)
        compute = (of_token * tokens + of_square * squared_tokens) / (peak.core_gflops * 1e9)
        moved = BYTES_FP16 * (
            encoder_parameters(shape)
            + self.token_passes * shape.layers * shape.hidden * tokens
            + self.score_passes * shape.layers * shape.heads * squared_tokens
        )
        serial = shape.layers * (self.launch_s + self.serial_s * tokens / sequences)
        return serial + compute + moved / (peak.bandwidth.gb_s * 1e9)


@cache
def load_gpu_law() -> GpuLaw:
    return msgspec.toml.decode(TABLE.read_bytes(), type=GpuLaw)
