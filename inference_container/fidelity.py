"""How near a packaged model ranks to its fp32 reference, and whether that is near enough to be served.

Both score the same questions against the same texts, each on the engine it is for. What counts is the order, so the
gate is a rank correlation (Spearman's) over all pairs and, for int8, how often both put the same text first.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_container.artifact import TOKENIZER, Artifact
from inference_container.calibration import Calibration, Query
from inference_container.engines import Engine, RaggedBatch
from inference_container.engines.loading import load_engine
from inference_container.hardware import describe_hardware
from inference_container.tokenization import PairTokenizer, QueryTooLong
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.manifest import Dtype, Fidelity, Manifest
from rerank_toolkit.contracts.manifest import Engine as EngineName

Scores = NDArray[np.float32]
"""Logits, (pairs,)."""

SEEDED_QUERIES = 4
"""Random weights have no ranking to lose: a few pairs show that engine and reference compute the same."""

IS_REFERENCE = "it is the fp32 reference itself"


@dataclass(frozen=True, slots=True)
class Gate:
    spearman: float
    top_1_agreement: float = 0.0


GATES: dict[Dtype, Gate] = {
    "fp32": Gate(0.9999),
    "bf16": Gate(0.999),
    "fp16": Gate(0.999),
    "int8": Gate(0.995, 0.99),
}
"""The least that real weights have to keep. bf16 keeps 0.9999 and int8 with one scale a tensor 0.95 to 0.99, as
measured on small encoders: what passes is noise, what fails is loss."""


class FidelityTooLow(ToolkitError):
    """The packaged model ranks too differently from its fp32 reference."""

    def __init__(self, manifest: Manifest, losses: Sequence[str]) -> None:
        lines = [f"{manifest.model_id} in {manifest.dtype} is too far from fp32, so nothing was written:"]
        lines += [f"  {loss}" for loss in losses]
        nearer = "fp32" if manifest.dtype == "bf16" else "bf16"
        lines += [
            f"Package it in a dtype that keeps more: rerank package {manifest.model_id} --dtype {nearer}",
            "Want it all the same? --accept-fidelity-loss packages it, and its manifest will say so",
        ]
        super().__init__("\n".join(lines))


class FidelityUnknown(ToolkitError):
    """A dtype that may lose much, on a machine that can't tell how much it loses."""


def reference_engine() -> EngineName | None:
    """The engine that computes the fp32 reference here: torch, or where that isn't installed, openvino; else None."""
    engines: tuple[EngineName, ...] = ("torch", "openvino")
    return next(filter(is_installed, engines), None)


def is_installed(engine: EngineName) -> bool:
    return importlib.util.find_spec(engine) is not None


def why_unknown(engine: EngineName, dtype: Dtype) -> str:
    """What keeps fidelity from being measured here; empty if nothing does."""
    if (engine, dtype) == ("torch", "fp32"):
        return IS_REFERENCE
    if not is_installed(engine):
        return f"the engine {engine} wasn't installed where this was packaged (rerank-toolkit[serve,{engine}])"
    return ""


def measure(packaged: Artifact, reference: Artifact, calibration: Calibration) -> Fidelity:
    """Scores the judged part of `calibration` with both artifacts on this machine.

    Raises ToolkitError where none of its questions fits the model or scores are not finite, and what loading an engine
    raises.
    """
    manifest = packaged.manifest
    hardware = describe_hardware()
    batch, texts = encode(packaged, calibration.judged)
    expected, by_reference = _score(reference, batch, hardware.physical_cores)
    found, by_packaged = _score(packaged, batch, hardware.physical_cores)
    on_gpu = manifest.engine == "torch" and hardware.gpu
    return Fidelity(
        reference=by_reference,
        measured_with=by_packaged,
        hardware=hardware.gpu if on_gpu and hardware.gpu else f"{hardware.cpu_model} ({hardware.instruction_set})",
        calibration=calibration.name,
        calibration_sha256=calibration.sha256,
        queries=len(texts),
        pairs=batch.sequences,
        spearman=round(spearman(expected, found), 6),
        top_1_agreement=round(top_1_agreement(expected, found, texts), 6),
        max_logit_difference=float(f"{np.abs(expected - found).max():.3g}"),
    )


def encode(artifact: Artifact, queries: Sequence[Query]) -> tuple[RaggedBatch, list[int]]:
    """All pairs as the model reads them, and how many of them each query has. Of seeded weights only the first queries.

    Questions too long for the model are left out. Raises ToolkitError where none is left.
    """
    manifest = artifact.manifest
    tokenizer = PairTokenizer.from_file(
        artifact.file(TOKENIZER), max_tokens=manifest.max_tokens, type_ids=manifest.shape.token_types > 0
    )
    encoded = []
    for question, texts in queries[:SEEDED_QUERIES] if manifest.seeded else queries:
        try:
            encoded.append(tokenizer.encode(question, texts))
        except QueryTooLong:
            continue
    if not encoded:
        raise ToolkitError(f"{manifest.model_id} takes {manifest.max_tokens} tokens; no calibration question fits")
    ids = [sequence for pairs in encoded for sequence in pairs.ids]
    type_ids = [sequence for pairs in encoded for sequence in pairs.type_ids]
    return RaggedBatch.of(ids, type_ids), [len(pairs.ids) for pairs in encoded]


def find_losses(fidelity: Fidelity, dtype: Dtype) -> list[str]:
    """Each figure that is below the gate of `dtype`, in words."""
    gate, losses = GATES[dtype], []
    if fidelity.spearman < gate.spearman:
        losses.append(f"Spearman correlation: is {fidelity.spearman:.5f}; expected at least {gate.spearman}")
    if fidelity.top_1_agreement < gate.top_1_agreement:
        losses.append(
            f"same text first: in {fidelity.top_1_agreement:.1%} of {fidelity.queries} queries; "
            f"expected at least {gate.top_1_agreement:.0%}"
        )
    return losses


def describe(fidelity: Fidelity) -> str:
    """One line for a reader."""
    line = (
        f"Spearman {fidelity.spearman:.5f}, same text first in {fidelity.top_1_agreement:.1%}, logits differ by at "
        f"most {fidelity.max_logit_difference:g}: {fidelity.pairs} pairs of {fidelity.measured_with} against "
        f"{fidelity.reference}"
    )
    return f"{line}; below the gate, accepted" if fidelity.loss_accepted else line


def spearman(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Spearman's correlation of two arrays (n,): Pearson's of their ranks, equal values sharing their mean rank."""
    one, other = _ranks(first), _ranks(second)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        raise ToolkitError("fidelity can't be measured: all pairs get the same score")
    return float(np.corrcoef(one, other)[0, 1])


def top_1_agreement(expected: Scores, found: Scores, texts: Sequence[int]) -> float:
    """Share of the queries whose highest score stands in the same place; query i has the next `texts[i]` scores."""
    places = np.cumsum(texts)[:-1]
    queries = zip(np.split(expected, places), np.split(found, places), strict=True)
    return float(np.mean([one.argmax() == other.argmax() for one, other in queries]))


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def _score(artifact: Artifact, batch: RaggedBatch, threads: int) -> tuple[Scores, str]:
    """The logits, and what computed them."""
    engine: Engine = load_engine(artifact, threads=threads)
    logits = engine.score(batch)
    lost = int((~np.isfinite(logits)).sum())
    if lost:
        raise ToolkitError(
            f"{artifact.manifest.model_id} in {engine.dtype} on {engine.name} gives {lost} pairs no finite score: "
            "its values leave that format's range. Package it in another dtype"
        )
    return logits, f"{engine.name} {engine.version}, {engine.dtype}"
