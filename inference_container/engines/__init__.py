"""The seam between batching and compute: token sequences laid end to end go in, one logit each comes out.

An engine knows nothing of text, requests or HTTP. Batching must not change answers: for every engine
`score(batch)[i]` equals the score of sequence i alone, within 1e-4 in the logit at fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.manifest import Dtype


class UnsupportedModel(ToolkitError):
    """An artifact whose model an engine has no code for."""


@dataclass(frozen=True, slots=True)
class RaggedBatch:
    """Sequences of different lengths without padding: sequence i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: NDArray[np.int32]  # (tokens,)
    type_ids: NDArray[np.int32]  # (tokens,)
    offsets: NDArray[np.int64]  # (sequences + 1,), from 0 to tokens

    @classmethod
    def of(cls, ids: Sequence[NDArray[Any]], type_ids: Sequence[NDArray[Any]]) -> RaggedBatch:
        """Joins one or more sequences."""
        offsets = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum([len(sequence) for sequence in ids], out=offsets[1:])
        return cls(
            np.concatenate(ids).astype(np.int32, copy=False),
            np.concatenate(type_ids).astype(np.int32, copy=False),
            offsets,
        )

    @property
    def sequences(self) -> int:
        return len(self.offsets) - 1

    @property
    def tokens(self) -> int:
        return int(self.offsets[-1])


class Engine(Protocol):
    """A loaded model. One thread calls it at a time."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Of the library that computes."""

    @property
    def dtype(self) -> Dtype: ...

    def score(self, batch: RaggedBatch) -> NDArray[np.float32]:
        """Relevance logits, shape (sequences,)."""


@runtime_checkable
class Padding(Protocol):
    """What an engine has besides if it fills sequences up to a common length. One that doesn't pad needs not say."""

    @property
    def computed_tokens(self) -> int:
        """Tokens of the batch that was scored last as they were computed, padding included."""


def computed_tokens(engine: Engine, batch: RaggedBatch) -> int:
    """Tokens that `engine` computed for `batch`, which it has just scored; beyond batch.tokens they were padding."""
    return engine.computed_tokens if isinstance(engine, Padding) else batch.tokens
