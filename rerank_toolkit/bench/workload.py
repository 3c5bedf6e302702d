"""The request that throughput is stated for: as many documents, as long, as a search team's reranker sees."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import NormalDist, fmean


@dataclass(frozen=True, slots=True)
class Workload:
    """Documents of lognormal length, and a short query. Lengths are tokens of the document alone."""

    documents: int = 100
    median_tokens: float = 120.0
    sigma: float = 0.6
    least_tokens: int = 16
    most_tokens: int = 512
    query_tokens: int = 10

    def __str__(self) -> str:
        return (
            f"{self.documents} documents, lengths lognormal with median {self.median_tokens:g} tokens and "
            f"sigma {self.sigma:g}, clipped to {self.least_tokens}..{self.most_tokens}, {self.query_tokens}-token query"
        )

    def lengths(self, documents: int, *, seed: int = 0) -> list[int]:
        """Tokens of each of `documents` documents.

        The middle of each of `documents` equally likely slices of the distribution, shuffled: a request of nine
        documents then has the same mix as one of a hundred, where nine random draws would not.
        """
        normal = NormalDist(math.log(self.median_tokens), self.sigma)
        lengths = [
            min(max(round(math.exp(normal.inv_cdf((i + 0.5) / documents))), self.least_tokens), self.most_tokens)
            for i in range(documents)
        ]
        random.Random(seed).shuffle(lengths)
        return lengths

    @property
    def mean_tokens(self) -> float:
        """Mean length of a document."""
        return fmean(self.lengths(1000))
