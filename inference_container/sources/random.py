"""`seeded:SEED`: random weights of the model's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from inference_container.seeded import seeded_tensors, seeded_tokenizer
from inference_container.sources.checkpoint import Checkpoint, Progress
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Manifest


@dataclass(frozen=True, slots=True)
class SeededSource:
    seed: int

    @classmethod
    def parse(cls, text: str) -> Self:
        if not text.isascii() or not text.isdigit():
            raise InvalidInput("source", [Fault("seed", f"is {text!r}; expected a whole number, 0 or above")])
        return cls(int(text))

    def __str__(self) -> str:
        return f"seeded:{self.seed}"

    def fetch(self, model: Model, progress: Progress) -> Checkpoint:
        progress(f"drawing {model.parameters:,} random weights from seed {self.seed}")
        return Checkpoint(
            source=str(self),
            revision=str(self.seed),
            tensors=seeded_tensors(model.shape, self.seed),
            tokenizer=seeded_tokenizer(model.shape).to_str(),
            note="Random weights: good for measuring speed, worthless for ranking.",
            seeded=True,
        )

    def made(self, manifest: Manifest) -> bool:
        return manifest.source == str(self)
