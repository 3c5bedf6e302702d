"""How long a request takes: a law fitted to a measured profile, and its way to other machines and models.

    seconds = a + b · sequences + c · tokens + d · sum of squared tokens

with non-negative coefficients: a request, a sequence, a token and a pair of tokens each cost something or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import NormalDist

import msgspec

from cost_model.hardware import Peak, cpu_dtype, in_dtype, profile_peak
from cost_model.prices.book import Unknown
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import Model, load_models
from rerank_toolkit.catalog.shapes import flops
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.profile import Cell, Profile

PROFILES = Path(__file__).with_name("profiles")

TERMS = 4


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """Compute seconds of a request, and the seconds around it that no faster processor takes away."""

    per_request: float
    per_sequence: float
    per_token: float
    per_squared_token: float
    around_per_request: float
    """Transport, parsing, tokenising: what the caller waited beyond queue and compute."""
    around_per_token: float
    error: float
    """Root mean square of the relative residuals of the compute seconds, over the profile's cells."""


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """A workload's request under a law, in seconds on the measured machine."""

    compute_s: float
    """Mean of what scales with the processor."""
    deviation_s: float
    """Standard deviation of that, from the spread of the lengths."""
    around_s: float
    """Mean of what doesn't scale."""


class MeasuredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A profile with its law and the peak of its machine."""

    profile: Profile
    law: Law
    peak: Peak

    @property
    def machine(self) -> str:
        hardware = self.profile.hardware
        return hardware.instance or hardware.gpu or hardware.cpu_model


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a model is: the profile to scale from, and by how much its work differs."""

    measured: MeasuredModel
    work_ratio: float
    """FLOPs of this model over those of the profile's, for the workload's mean sequence; 1 for the same model."""
    moments: Moments
    note: str
    """What was measured, and how well the law fits it."""
    beyond: str
    """What the workload asks beyond the measured cells; empty if nothing."""
    part: str
    """How much the model reads of the workload's mean document; empty if all."""


def fit(cells: Sequence[Cell]) -> Law:
    """The law through the cells, by non-negative least squares on relative residuals.

    Relative, because a profile spans milliseconds to minutes and the short requests matter as much. Raises
    ValueError with fewer cells than terms.
    """
    import numpy as np  # noqa: PLC0415  # the commands that only price start without it
    from scipy.optimize import nnls  # noqa: PLC0415

    if len(cells) < TERMS:
        raise ValueError(f"has {len(cells)} cells; a law of {TERMS} terms needs at least {TERMS}")

    def solve(features: list[list[float]], seconds: list[float]) -> tuple[list[float], float]:
        target = np.asarray(seconds)
        weighted = np.asarray(features) / target[:, None]
        scale = np.abs(weighted).max(axis=0)
        scale[scale == 0] = 1.0
        coefficients, _ = nnls(weighted / scale, np.ones(len(target)))
        residuals = weighted @ (coefficients / scale) - 1
        return list(map(float, coefficients / scale)), float(np.sqrt(np.mean(residuals**2)))

    compute, error = solve(
        [[1.0, cell.documents, cell.tokens, cell.sum_squared_tokens] for cell in cells],
        [cell.inference_ms / 1000 for cell in cells],
    )
    around, _ = solve(
        [[1.0, cell.tokens] for cell in cells],
        [max(cell.latency_ms - cell.inference_ms - cell.queue_ms, 0.01) / 1000 for cell in cells],
    )
    return Law(
        per_request=compute[0],
        per_sequence=compute[1],
        per_token=compute[2],
        per_squared_token=compute[3],
        around_per_request=around[0],
        around_per_token=around[1],
        error=error,
    )


def request_moments(law: Law, workload: Workload, max_tokens: int) -> Moments:
    """Mean and spread of a request's seconds on the measured machine; a sequence takes b + c t + d t².

    Sequences are independent, their lengths as in `length_moments`.
    """
    raw = length_moments(workload.tokens_per_document, workload.tokens_cv, max_tokens)
    c, d = law.per_token, law.per_squared_token
    variance = c * c * (raw[2] - raw[1] ** 2) + d * d * (raw[4] - raw[2] ** 2) + 2 * c * d * (raw[3] - raw[1] * raw[2])
    sequences = workload.documents_per_request
    return Moments(
        compute_s=law.per_request + sequences * (law.per_sequence + c * raw[1] + d * raw[2]),
        deviation_s=math.sqrt(sequences * max(variance, 0.0)),
        around_s=law.around_per_request + law.around_per_token * sequences * raw[1],
    )


def length_moments(mean: float, cv: float, most: float) -> list[float]:
    """E[min(t, M)^k] for k from 0 to 4: of lognormal lengths t, cut at M = `most` tokens.

    With σ² = ln(1 + cv²) and μ = ln(mean) - σ²/2, and Φ the normal distribution function,
    exp(kμ + k²σ²/2) Φ((ln M - μ)/σ - kσ) + M^k (1 - Φ((ln M - μ)/σ)).
    """
    sigma = math.sqrt(math.log1p(cv * cv))
    if sigma == 0:
        return [min(mean, most) ** k for k in range(5)]
    mu = math.log(mean) - sigma * sigma / 2
    cut = (math.log(most) - mu) / sigma
    below = NormalDist().cdf
    return [math.exp(k * mu + (k * sigma) ** 2 / 2) * below(cut - k * sigma) + most**k * below(-cut) for k in range(5)]


def load_profiles(places: Sequence[Path] = (PROFILES,)) -> tuple[list[MeasuredModel], list[str]]:
    """The profiles in these files and folders, fitted, and why those were left out that can't be scaled from.

    Raises InvalidInput if a place doesn't exist or a file is no profile.
    """
    measured: list[MeasuredModel] = []
    left_out: list[str] = []
    for path in _files(places):
        profile = documents.read(path, Profile)
        if profile.model_id not in load_models():
            left_out.append(f"profile {path.name}: the catalogue has no model {profile.model_id}")
            continue
        if not _compared(profile):
            left_out.append(f"profile {path.name}: {profile.engine} {profile.dtype} is not among what is compared")
            continue
        peak = profile_peak(profile.hardware, profile.threads * profile.workers)
        if isinstance(peak, Unknown):
            left_out.append(f"profile {path.name}: {peak.reason}")
            continue
        if not profile.hardware.gpu:
            peak = in_dtype(peak, profile.dtype, profile.hardware.instruction_set)
        try:
            law = fit(profile.cells)
        except ValueError as error:
            left_out.append(f"profile {path.name}: {error}")
            continue
        measured.append(MeasuredModel(profile=profile, law=law, peak=peak))
    return measured, left_out


def _compared(profile: Profile) -> bool:
    """Whether it was measured as endpoints are deployed: torch in fp16 on GPUs, fp32 or OpenVINO's own on CPUs."""
    if profile.hardware.gpu:
        return (profile.engine, profile.dtype) == ("torch", "fp16")
    return profile.dtype in ("fp32", cpu_dtype(profile.engine, profile.hardware.instruction_set))


def _files(places: Sequence[Path]) -> list[Path]:
    missing = [
        Fault(str(place), "is neither a file nor a folder", "unreadable") for place in places if not place.exists()
    ]
    if missing:
        raise InvalidInput("profiles", missing)
    return [path for place in places for path in (sorted(place.glob("*.json")) if place.is_dir() else [place])]


def find_speed(
    model: Model, workload: Workload, measured: Sequence[MeasuredModel], *, instance: str | None, gpu: bool
) -> Speed | Unknown:
    """The profile that tells most of how fast the model is on such a machine.

    In this order: on the same kind of processor, with the engine that is deployed there, of this very model, on this
    very type, of the same family, nearest in FLOPs for the workload's sequence, latest.
    """
    if not measured:
        return Unknown("no profile was measured yet; `rerank bench record` writes one")
    tokens = round(min(workload.tokens_per_document, model.max_tokens))
    work = flops(model.shape, tokens)

    def ratio(candidate: MeasuredModel) -> float:
        shape = load_models()[candidate.profile.model_id].shape
        return work / flops(shape, tokens)

    def preference(candidate: MeasuredModel) -> tuple[bool, bool, bool, bool, bool, float, float]:
        profile = candidate.profile
        return (
            (profile.hardware.gpu is not None) != gpu,
            profile.engine != ("torch" if gpu else "openvino"),
            profile.model_id != model.id,
            instance is None or profile.hardware.instance != instance,
            load_models()[profile.model_id].family != model.family,
            abs(math.log(ratio(candidate))),
            -profile.measured_at.timestamp(),
        )

    best = min(measured, key=preference)
    return Speed(
        measured=best,
        work_ratio=1.0 if best.profile.model_id == model.id else ratio(best),
        moments=request_moments(best.law, workload, model.max_tokens),
        note=f"{best.profile.model_id} as measured on {best.machine} (law's error {best.law.error:.0%})",
        beyond=_beyond(best.profile, workload, model.max_tokens),
        part=_part(workload, model.max_tokens),
    )


def _beyond(profile: Profile, workload: Workload, max_tokens: int) -> str:
    """In words. Documents and tokens may each have been measured, and yet no request of so many tokens."""
    documents, tokens = workload.documents_per_request, min(workload.tokens_per_document, float(max_tokens))
    reads: list[tuple[str, float, Callable[[Cell], float]]] = [
        ("documents", documents, lambda cell: cell.documents),
        ("tokens a document", tokens, lambda cell: cell.tokens_per_document),
        ("tokens a request", documents * tokens, lambda cell: cell.tokens),
    ]
    parts = []
    for what, wanted, read in reads:
        least, most = min(map(read, profile.cells)), max(map(read, profile.cells))
        if not least * 0.9 <= wanted <= most * 1.1:
            parts.append(f"{wanted:,.0f} {what} are beyond the measured {least:,.0f} to {most:,.0f}")
    return "; ".join(parts)


def _part(workload: Workload, max_tokens: int) -> str:
    if workload.tokens_per_document <= max_tokens:
        return ""
    return f"reads {max_tokens:,} of {workload.tokens_per_document:,.0f} tokens"
