"""What a model reads for a document: the query, the document and the special tokens around them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec

from cost_model.workload.distribution import Distribution

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPECIAL = 3
"""[CLS] query [SEP] document [SEP], as BERT has them; XLM-RoBERTa has 4."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pair is the query of the request, one of its documents, and `special`."""

    query: Distribution
    """The same for all documents of a request."""
    document: Distribution
    special: Annotated[int, msgspec.Meta(ge=0, le=16)] = SPECIAL
    """Tokens that the tokenizer puts around query and document."""

    def pair_moments(self, most: float = math.inf) -> list[float]:
        """E[min(t, most)^k] of a pair's tokens, for k from 0 to 4.

        Exact where queries are of one length or a histogram; else over slices of their distribution.
        """
        around = [(value + self.special, share) for value, share in self.query.points()]
        return self.document.mixed_moments(around, most)

    def draw_pairs(self, rng: np.random.Generator, documents: NDArray[np.int64]) -> NDArray[np.float64]:
        """(documents.sum(),) tokens of each pair, not rounded, of requests with so many documents each."""
        import numpy as np  # noqa: PLC0415

        queries = np.repeat(self.query.draw(rng, len(documents)), documents)
        return np.asarray(queries + self.document.draw(rng, int(documents.sum())) + self.special)
