"""manifest.json: what an artifact is, file by file. The container loads nothing that it doesn't vouch for.

It names no time of day: the same weights packaged twice give the same bytes, and so the same asset hash and S3 key.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from rerank_toolkit.catalog.shapes import Shape

FILE_NAME = "manifest.json"

Engine = Literal["torch", "openvino"]
Dtype = Literal["fp32", "bf16", "fp16", "int8"]


class FileDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    bytes: int


class Fidelity(msgspec.Struct, frozen=True, kw_only=True):
    """How near this artifact's scores are to the fp32 reference on a calibration set."""

    reference: str
    pairs: int
    spearman: float
    max_logit_difference: float
    calibration: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int = 1
    model_id: str
    revision: str
    """Commit, wheel version or seed: with `source` it names these weights for good."""
    source: str
    seeded: bool
    """Random weights: good for speed, worthless for ranking. Every answer says so in its model name."""
    license: str
    shape: Shape
    max_tokens: int
    engine: Engine
    dtype: Dtype
    toolkit_version: str
    files: dict[str, FileDigest]
    """Every file of the artifact but the manifest, by path relative to it with forward slashes."""
    fidelity: Fidelity | None = None

    @property
    def display_name(self) -> str:
        """The model's name in answers."""
        return f"{self.model_id} (seeded random weights)" if self.seeded else self.model_id
