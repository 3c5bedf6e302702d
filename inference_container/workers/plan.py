"""How many workers, with how many threads, on which cores.

Two processes of one thread do 1.9 times the work of one, while one of two threads does 1.6 to 1.8 times: so the
engine that can, openvino, gets a worker for each core. Torch gets one with all cores: its workers would each hold
the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference_container.memory import MIB
from rerank_toolkit.contracts.manifest import Manifest
from rerank_toolkit.contracts.profile import Hardware
from rerank_toolkit.contracts.settings import Settings

FRONT_MIB = 512
"""Kept for the front: requests of the largest body, on their way from bytes to tokens."""

ENGINE_MIB = 256
"""Of each worker: interpreter, library and activations; its weights come besides."""


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    threads: int
    """Of each worker."""
    cores: tuple[tuple[int, ...], ...]
    """For each worker the logical CPUs that are its alone; empty where it may run on any."""

    @property
    def workers(self) -> int:
        return len(self.cores)


def plan_workers(
    settings: Settings, manifest: Manifest, hardware: Hardware, core_groups: Sequence[Sequence[int]]
) -> WorkerPlan:
    """`core_groups` are the logical CPUs of each physical core that may be set apart; empty if none may be."""
    threads = settings.threads or hardware.physical_cores
    workers = settings.workers or _default_workers(manifest, hardware, threads)
    return WorkerPlan(max(1, threads // workers), _set_apart(workers, core_groups))


def _default_workers(manifest: Manifest, hardware: Hardware, threads: int) -> int:
    if manifest.engine != "openvino":
        return 1
    weights_mib = sum(digest.bytes for digest in manifest.files.values()) / MIB
    room = int((hardware.memory_mib - FRONT_MIB) / (ENGINE_MIB + weights_mib))
    return max(1, min(threads, room))


def _set_apart(workers: int, core_groups: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Neighbouring cores for each: they share caches and memory. One worker needs nothing to be set apart."""
    cores = len(core_groups)
    if workers == 1 or workers > cores:
        return ((),) * workers
    shares = (core_groups[cores * at // workers : cores * (at + 1) // workers] for at in range(workers))
    return tuple(tuple(cpu for group in share for cpu in group) for share in shares)
