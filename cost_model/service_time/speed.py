"""The profile that tells most of how fast a model is, and what the workload asks beyond what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from cost_model.prices.book import Unknown
from cost_model.service_time.lengths import length_exceeded_by, share_longer
from cost_model.service_time.profiles import MeasuredModel
from cost_model.service_time.request import Moments, request_moments
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import Model, load_models
from rerank_toolkit.catalog.shapes import flops
from rerank_toolkit.contracts.profile import Cell, Profile

TELLING_SHARE = 0.01
"""Of the documents: where more are cut, it is said."""

RARE = 0.0001
"""Share of the documents that may be longer than what memory is reckoned for."""


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
    beyond_ratio: float
    """By what factor it goes beyond the largest or the smallest measured; 1 if it doesn't."""
    part: str
    """How many of the workload's documents the model cuts; empty if hardly any."""
    longest_tokens: float
    """Of a document such as one in ten thousand is, as far as the model reads it."""


def find_speed(
    model: Model, workload: Workload, measured: Sequence[MeasuredModel], *, instance: str | None, gpu: bool
) -> Speed | Unknown:
    """The profile that tells most of how fast the model is on such a machine.

    In this order: on the same kind of processor, with the engine that is deployed there, of this very model, on this
    very type, of the same family, nearest in FLOPs for the workload's sequence, latest. Unknown where no profile is,
    and where the mean document is longer than what the model reads.
    """
    if not measured:
        return Unknown("no profile was measured yet; `rerank bench record` writes one")
    if workload.tokens_per_document > model.max_tokens:
        return Unknown(
            f"reads {model.max_tokens:,} tokens, and the mean document has {workload.tokens_per_document:,.0f}",
            "reads less than the mean document",
        )
    tokens = round(workload.tokens_per_document)
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
    profile = best.profile
    beyond, beyond_ratio = _beyond(profile, workload)
    return Speed(
        measured=best,
        work_ratio=1.0 if profile.model_id == model.id else ratio(best),
        moments=request_moments(
            best.law, workload, model.max_tokens, engines=profile.workers, token_budget=profile.token_budget
        ),
        note=f"{profile.model_id} as measured on {best.machine} (law's error {best.law.error:.0%})",
        beyond=beyond,
        beyond_ratio=beyond_ratio,
        part=_part(workload, model.max_tokens),
        longest_tokens=length_exceeded_by(workload, RARE, model.max_tokens),
    )


def _beyond(profile: Profile, workload: Workload) -> tuple[str, float]:
    """In words and as a factor. Documents and tokens may each have been measured, and yet no request of so many
    tokens."""
    documents, tokens = workload.documents_per_request, workload.tokens_per_document
    reads: list[tuple[str, float, Callable[[Cell], float]]] = [
        ("documents", documents, lambda cell: cell.documents),
        ("tokens a document", tokens, lambda cell: cell.tokens_per_document),
        ("tokens a request", documents * tokens, lambda cell: cell.tokens),
    ]
    parts = []
    most_beyond = 1.0
    for what, wanted, read in reads:
        least, most = min(map(read, profile.cells)), max(map(read, profile.cells))
        if not least * 0.9 <= wanted <= most * 1.1:
            parts.append(f"{wanted:,.0f} {what} are beyond the measured {least:,.0f} to {most:,.0f}")
            most_beyond = max(most_beyond, wanted / most, least / wanted)
    return "; ".join(parts), most_beyond


def _part(workload: Workload, max_tokens: int) -> str:
    share = share_longer(workload, max_tokens)
    return f"cuts {share:.0%} of the documents to {max_tokens:,} tokens" if share >= TELLING_SHARE else ""
