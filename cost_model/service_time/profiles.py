"""The measured profiles, each with its law and the peak of its machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from cost_model.hardware import Peak, cpu_dtype, in_dtype, profile_peak
from cost_model.prices.book import Unknown
from cost_model.service_time.law import Law, fit
from cost_model.service_time.saturation import engine_share
from rerank_toolkit.catalog.models import load_models
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.profile import Profile

PROFILES = Path(__file__).parents[1] / "profiles"


class MeasuredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A profile with what follows from it, and the peak of its machine."""

    profile: Profile
    law: Law
    engine_share: float
    """Throughput under saturation over what the law of lone requests allows."""
    peak: Peak

    @property
    def machine(self) -> str:
        hardware = self.profile.hardware
        return hardware.instance or hardware.gpu or hardware.cpu_model


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
        peak = profile_peak(profile.hardware, profile.threads)
        if isinstance(peak, Unknown):
            left_out.append(f"profile {path.name}: {peak.reason}")
            continue
        if not profile.hardware.gpu:
            peak = in_dtype(peak, profile.dtype, profile.hardware.instruction_set)
        try:
            law = fit(
                profile.cells,
                shape=load_models()[profile.model_id].shape,
                engines=profile.workers,
                token_budget=profile.token_budget,
                padded=profile.engine == "openvino",
            )
            share = engine_share(profile, law)
        except ValueError as error:
            left_out.append(f"profile {path.name}: {error}")
            continue
        measured.append(MeasuredModel(profile=profile, law=law, engine_share=share, peak=peak))
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
