"""What a plan says of a model on a host, whoever plans it: image, artifact, settings, memory and start."""

from __future__ import annotations

import math

from cost_model.hosts import Host
from cost_model.memory import stored_dtype
from cost_model.options import Candidate
from rerank_toolkit import __version__
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts import plan
from rerank_toolkit.contracts.manifest import artifact_name
from rerank_toolkit.contracts.plan import Image, LocalArtifact
from rerank_toolkit.contracts.settings import Settings

REPOSITORY = "rerank-toolkit"

STARTS = 3
"""Times the expected start, that SageMaker waits for a container to answer."""

USUAL_START_S = 480
"""Seconds that it waits where the plan says nothing else."""


def image_of(host: Host) -> Image:
    """One of the images that docs/deploy.md names; Arm's is another build of the CPU's."""
    build = "gpu" if host.kind == "gpu" else "cpu" if host.architecture == "x86_64" else "cpu-arm64"
    return Image(repository=REPOSITORY, tag=f"{build}-{__version__}")


def artifact_of(candidate: Candidate) -> LocalArtifact:
    """Where `rerank package` puts what the candidate runs."""
    stored = stored_dtype(candidate.engine, candidate.dtype)
    return LocalArtifact(path=f"artifacts/{artifact_name(candidate.model.id, candidate.engine, stored)}")


def settings_of(candidate: Candidate, mode: plan.Mode) -> Settings:
    """What differs from what the container does by itself, or from what infra tells it by mode."""
    workers = candidate.memory.workers
    if mode == "serverless":  # where infra starts one, for the CPUs that the container sees are not all its own
        return Settings() if workers == 1 else Settings(workers=workers)
    return Settings() if candidate.workers_fit else Settings(workers=workers)


def startup_timeout_s(candidate: Candidate, mode: plan.Mode) -> int:
    """Of serverless nobody can set it; elsewhere at least the usual."""
    limits = load_limits()
    if mode == "serverless":
        return limits.serverless.container_start_s
    needed = math.ceil(STARTS * (candidate.server_start_s or 0.0))
    return min(max(USUAL_START_S, needed), limits.container.startup_timeout_s[1])


def expected_memory_mib(candidate: Candidate) -> int:
    return math.ceil(candidate.memory.mib)


def expected_start_s(candidate: Candidate) -> float | None:
    start = candidate.server_start_s
    return None if start is None else round(start, 1)


def start_basis(candidate: Candidate) -> str:
    """How the start is known."""
    if candidate.server_start_s is None:
        return "start: unknown, measured on no machine of the kind"
    profile = candidate.speed.measured.profile
    return f"start: {profile.startup_s:g} s as measured of {profile.model_id}, scaled as its compute is"
