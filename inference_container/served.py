"""What one server serves: an artifact, its tokenizer, the workers that compute, and the machine they run on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inference_container.artifact import TOKENIZER, open_artifact
from inference_container.dialects import ModelNames, RerankTask
from inference_container.dispatcher import Replica
from inference_container.engines import Engine
from inference_container.hardware import describe_hardware
from inference_container.job import Scores, Work
from inference_container.memory import ServerMemory
from inference_container.tokenization import EncodedPairs, PairTokenizer
from inference_container.workers.pool import WorkerPool
from rerank_toolkit.catalog.shapes import flops
from rerank_toolkit.contracts.manifest import Manifest
from rerank_toolkit.contracts.profile import Hardware
from rerank_toolkit.contracts.settings import Settings
from rerank_toolkit.contracts.wire import Origin


@dataclass(slots=True)
class EncodedTask:
    """A task's documents as the model reads them, in the caller's order; grows as they are tokenised."""

    pairs: EncodedPairs = field(default_factory=lambda: EncodedPairs([], [], [], []))
    flops: list[float] = field(default_factory=list)
    total_flops: float = 0.0
    longest_flops: float = 0.0
    """Of its longest document."""
    tokens: int = 0
    sum_squared_tokens: int = 0
    query_lengths: list[int] = field(default_factory=list)
    """Tokens of the query of each document."""

    def extend(self, pairs: EncodedPairs, flops: list[float], query_lengths: list[int]) -> None:
        self.pairs.ids.extend(pairs.ids)
        self.pairs.type_ids.extend(pairs.type_ids)
        self.pairs.truncated.extend(pairs.truncated)
        self.pairs.lengths.extend(pairs.lengths)
        self.flops.extend(flops)
        self.total_flops += sum(flops)
        self.longest_flops = max(self.longest_flops, *flops)
        self.query_lengths.extend(query_lengths)
        self.tokens += sum(pairs.lengths)
        self.sum_squared_tokens += sum(length * length for length in pairs.lengths)

    @property
    def truncated(self) -> list[int]:
        """The documents that were cut."""
        return [index for index, cut in enumerate(self.pairs.truncated) if cut]

    @property
    def work(self) -> Work:
        return Work(self.pairs.ids, self.pairs.type_ids, self.flops)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """An artifact that was checked, and loaded by every worker."""

    manifest: Manifest
    names: ModelNames
    replicas: Sequence[Replica]
    """One or more, alike."""
    tokenizer: PairTokenizer
    hardware: Hardware
    threads: int
    """Of all workers together."""
    token_budget: int
    memory: ServerMemory

    @classmethod
    def load(cls, settings: Settings, pool: WorkerPool) -> ServedModel:
        """The artifact in settings.model_dir, checked, then loaded by the pool's workers.

        Raises ToolkitError for one that can't be served.
        """
        artifact = open_artifact(Path(settings.model_dir))
        manifest = artifact.manifest
        pool.load(artifact)  # meanwhile:
        tokenizer = PairTokenizer.from_file(
            artifact.file(TOKENIZER), max_tokens=manifest.max_tokens, type_ids=manifest.shape.token_types > 0
        )
        hardware = describe_hardware()
        pool.wait_until_loaded()
        return cls(
            manifest=manifest,
            names=ModelNames.of(manifest),
            replicas=pool.workers,
            tokenizer=tokenizer,
            hardware=hardware,
            threads=pool.plan.workers * pool.plan.threads,
            token_budget=pool.plan.token_budget,
            memory=ServerMemory(lambda: {"front": os.getpid(), **pool.pids()}),
        )

    @property
    def engine(self) -> Engine:
        """Any of the workers': its name, version and dtype are those of all."""
        return self.replicas[0]

    def encode(
        self, task: RerankTask, queries: Sequence[Sequence[int]], first: int, last: int
    ) -> tuple[EncodedPairs, list[float], list[int]]:
        """Documents first..last-1 of `task`, whose queries have the ids `queries`: the sequences, and for each its
        FLOPs and how many of its tokens are the query's."""
        query_of = task.query_of[first:last] if task.query_of else [0] * (last - first)
        pairs = self._encode_pairs(task, queries, query_of, task.documents[first:last])
        return (
            pairs,
            [flops(self.manifest.shape, length) for length in pairs.lengths],
            [len(queries[query]) for query in query_of],
        )

    def _encode_pairs(
        self, task: RerankTask, queries: Sequence[Sequence[int]], query_of: Sequence[int], documents: Sequence[str]
    ) -> EncodedPairs:
        groups: dict[int, list[int]] = {}
        for position, query in enumerate(query_of):
            groups.setdefault(query, []).append(position)
        joined = EncodedPairs([], [], [], [])
        for query, positions in groups.items():
            group = self.tokenizer.encode_pairs(
                queries[query],
                [documents[position] for position in positions],
                max_document_tokens=task.max_document_tokens,
                truncation_direction=task.truncation_direction,
            )
            if len(groups) == 1:
                return group
            joined.extend(group)
        order = [position for positions in groups.values() for position in positions]
        return joined.reordered(order)

    def origin(self, encoded: EncodedTask | None, scores: Scores | None, *, startup_s: float, total_s: float) -> Origin:
        """How an answer was made; of an answer without scores, by what it would have been."""
        memory, peak = self.memory.now_and_peak_mib()
        hardware = self.hardware
        return Origin(
            model=self.manifest.model_id,
            engine=self.engine.name,
            engine_version=self.engine.version,
            dtype=self.engine.dtype,
            threads=self.threads,
            workers=len(self.replicas),
            token_budget=self.token_budget,
            cpu_model=hardware.cpu_model,
            instruction_set=hardware.instruction_set,
            architecture=hardware.architecture,
            logical_cpus=hardware.logical_cpus,
            physical_cores=hardware.physical_cores,
            hardware_memory_mib=hardware.memory_mib,
            gpu=hardware.gpu or "",
            queue_ms=scores.queue_s * 1e3 if scores else 0.0,
            inference_ms=scores.inference_s * 1e3 if scores else 0.0,
            total_ms=total_s * 1e3,
            tokens=encoded.tokens if encoded else 0,
            sum_squared_tokens=encoded.sum_squared_tokens if encoded else 0,
            batches=scores.batches if scores else 0,
            padding_ratio=scores.padding_ratio if scores else None,
            truncated_documents=len(encoded.truncated) if encoded else None,
            memory_mib=memory,
            peak_memory_mib=peak,
            startup_s=startup_s,
            seeded=self.manifest.seeded,
        )
