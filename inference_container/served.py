"""What one process serves: an artifact, its engine and tokenizer, and the machine they run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inference_container.artifact import TOKENIZER, open_artifact
from inference_container.dialects import ModelNames, RerankTask
from inference_container.dispatcher import Scores, Work
from inference_container.engines import Engine, RaggedBatch
from inference_container.engines.loading import load_engine
from inference_container.hardware import describe_hardware, resident_memory_mib
from inference_container.tokenization import EncodedPairs, PairTokenizer
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
    tokens: int = 0
    sum_squared_tokens: int = 0

    def extend(self, pairs: EncodedPairs, flops: list[float]) -> None:
        self.pairs.ids.extend(pairs.ids)
        self.pairs.type_ids.extend(pairs.type_ids)
        self.pairs.truncated.extend(pairs.truncated)
        self.pairs.lengths.extend(pairs.lengths)
        self.flops.extend(flops)
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
    """Loaded and, once, run: what a first call has to set up is set up."""

    manifest: Manifest
    names: ModelNames
    engine: Engine
    tokenizer: PairTokenizer
    hardware: Hardware
    threads: int
    token_budget: int

    @classmethod
    def load(cls, settings: Settings) -> ServedModel:
        """The artifact in settings.model_dir, checked; raises ToolkitError for one that can't be served."""
        artifact = open_artifact(Path(settings.model_dir))
        manifest = artifact.manifest
        hardware = describe_hardware()
        threads = settings.threads or hardware.physical_cores
        model = cls(
            manifest=manifest,
            names=ModelNames.of(manifest),
            engine=load_engine(artifact, threads=threads),
            tokenizer=PairTokenizer.from_file(
                artifact.file(TOKENIZER), max_tokens=manifest.max_tokens, type_ids=manifest.shape.token_types > 0
            ),
            hardware=hardware,
            threads=threads,
            token_budget=settings.token_budget,
        )
        first = model.tokenizer.encode("first", ["call"])
        model.engine.score(RaggedBatch.of(first.ids, first.type_ids))
        return model

    def encode(self, task: RerankTask, query: Sequence[int], first: int, last: int) -> tuple[EncodedPairs, list[float]]:
        """Documents first..last-1 of `task`, whose query has the ids `query`, as sequences, and the FLOPs of each."""
        pairs = self.tokenizer.encode_pairs(
            query, task.documents[first:last], max_document_tokens=task.max_document_tokens
        )
        return pairs, [flops(self.manifest.shape, length) for length in pairs.lengths]

    def origin(self, encoded: EncodedTask | None, scores: Scores | None, *, startup_s: float, total_s: float) -> Origin:
        """How an answer was made; of an answer without scores, by what it would have been."""
        memory, peak = resident_memory_mib()
        hardware = self.hardware
        return Origin(
            model=self.manifest.model_id,
            engine=self.engine.name,
            engine_version=self.engine.version,
            dtype=self.engine.dtype,
            threads=self.threads,
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
