"""How many workers, with how many threads, on which cores, and how large their batches.

Two processes of one thread do 1.9 times the work of one, while one of two threads does 1.6 to 1.8 times: so the
engine that can, openvino, gets a worker for each core. Torch gets one with all cores: its workers would each hold
the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rerank_toolkit.catalog.worker_memory import computed_in, workers_with_room
from rerank_toolkit.contracts.manifest import Manifest
from rerank_toolkit.contracts.profile import Hardware
from rerank_toolkit.contracts.settings import Settings

CPU_TOKEN_BUDGET = 1024
"""A request of ten documents beside one of a thousand waits for the batches that are in compute when it comes: with
2,048 tokens each it took 3.4 times as long as alone in the median, with 1,024 it took 2.3 times."""

GPU_TOKEN_BUDGET = 8192
"""Enough to keep a GPU busy for longer than the launch of its kernels takes. Assumed, not measured."""


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    token_budget: int
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
    on_gpu = manifest.engine == "torch" and hardware.gpu
    return WorkerPlan(
        token_budget=settings.token_budget or (GPU_TOKEN_BUDGET if on_gpu else CPU_TOKEN_BUDGET),
        threads=max(1, threads // workers),
        cores=_set_apart(workers, core_groups),
    )


def _default_workers(manifest: Manifest, hardware: Hardware, threads: int) -> int:
    if manifest.engine != "openvino":
        return 1
    dtype = computed_in(manifest.dtype, hardware.instruction_set)
    return min(threads, workers_with_room(manifest.shape, dtype, memory_mib=hardware.memory_mib))


def _set_apart(workers: int, core_groups: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Neighbouring cores for each: they share caches and memory. One worker needs nothing to be set apart."""
    cores = len(core_groups)
    if workers == 1 or workers > cores:
        return ((),) * workers
    shares = (core_groups[cores * at // workers : cores * (at + 1) // workers] for at in range(workers))
    return tuple(tuple(cpu for group in share for cpu in group) for share in shares)
