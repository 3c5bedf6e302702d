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


class Fidelity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How near this artifact's scores are to the fp32 reference's on a calibration set."""

    reference: str
    """Engine, version and dtype that the reference was computed with."""
    measured_with: str
    """Engine, version and dtype that this artifact really ran with: without bf16 in the CPU, bf16 runs as fp32."""
    hardware: str
    calibration: str
    calibration_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    queries: int
    pairs: int
    spearman: float
    """Rank correlation over the logits of all pairs."""
    top_1_agreement: float
    """Share of the queries whose best text is the reference's best."""
    max_logit_difference: float
    loss_accepted: bool = False
    """Below the gate of its dtype, and packaged nevertheless because the user said so."""


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
    fidelity_unknown: str = ""
    """Why there is no fidelity; empty in an artifact that is older than this field."""

    @property
    def display_name(self) -> str:
        """The model's name in answers."""
        return f"{self.model_id} (seeded random weights)" if self.seeded else self.model_id


def default_dtype(engine: Engine) -> Dtype:
    """What an engine computes in unless told otherwise: bf16 on CPUs, fp32 in the reference."""
    return "bf16" if engine == "openvino" else "fp32"


def artifact_name(model_id: str, engine: Engine = "openvino", dtype: Dtype = "bf16") -> str:
    """The folder that a packaged model lies in: the model's id, with engine and dtype where they aren't the default."""
    return model_id if (engine, dtype) == ("openvino", "bf16") else f"{model_id}-{engine}-{dtype}"
