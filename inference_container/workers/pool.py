"""The workers of one server, from their start beside the front's own to the last one's end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from inference_container.artifact import Artifact, read_manifest
from inference_container.hardware import core_groups, describe_hardware
from inference_container.workers.plan import WorkerPlan, plan_workers
from inference_container.workers.spec import WorkerSpec
from inference_container.workers.worker import Worker
from rerank_toolkit.contracts.settings import Settings


class WorkerPool:
    """Equal workers. One thread at a time calls `load` and `wait_until_loaded`, any the rest."""

    def __init__(self, plan: WorkerPlan, workers: tuple[Worker, ...]) -> None:
        self.plan = plan
        self.workers = workers

    @classmethod
    @contextmanager
    def running(cls, settings: Settings) -> Iterator[WorkerPool]:
        """Workers for the artifact in settings.model_dir, which import its engine from now on and end with the block.

        On Linux they end with the calling thread too. Raises ToolkitError for a folder that is no artifact.
        """
        manifest = read_manifest(Path(settings.model_dir))
        plan = plan_workers(settings, manifest, describe_hardware(), core_groups())
        specs = (
            WorkerSpec(engine=manifest.engine, threads=plan.threads, cores=cores, log_level=settings.log_level)
            for cores in plan.cores
        )
        pool = cls(plan, tuple(Worker(spec) for spec in specs))
        try:
            for worker in pool.workers:
                worker.spawn()
            yield pool
        finally:
            pool.stop()

    def load(self, artifact: Artifact) -> None:
        """Has every worker load the artifact, whose files were checked. Raises WorkerLost."""
        for worker in self.workers:
            worker.load(artifact)

    def wait_until_loaded(self) -> None:
        """Raises what the first that fails does: CannotLoad, WorkerLost."""
        for worker in self.workers:
            worker.wait_until_loaded()

    def pids(self) -> Mapping[str, int]:
        """The process of each worker that has one."""
        pids = ((f"worker-{number}", worker.pid) for number, worker in enumerate(self.workers))
        return {name: pid for name, pid in pids if pid}

    def stop(self) -> None:
        """Ends them all for good, whatever they do."""
        for worker in self.workers:
            worker.stop()
