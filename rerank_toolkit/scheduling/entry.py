"""A request on its way through the queue, and what of it comes next."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import accumulate

BULK_TOKENS = 16_384
BULK_WEIGHT = 4
"""Of each request, what comes after about so many tokens' work counts for four times as much in its share: a request
of a dozen documents takes four fifths of the machine from one of a thousand, while requests of a size share alike."""


class Entry:
    """A request, from admission until its last document was computed."""

    def __init__(
        self, request: Hashable, tokens: Sequence[int], work: Sequence[float], deadline: float, tag: float
    ) -> None:
        self.request = request
        self.tokens = tokens
        self.work = work
        self.deadline = deadline
        self.tag = tag
        """Virtual time: the weighted work done for it, on top of where the others stood when it came."""
        # Longest first: a batch's documents are of about one length, and no long one is left for the end, when
        # other engines have nothing more to do.
        self.order = sorted(range(len(tokens)), key=lambda document: -tokens[document])
        self.work_after = [*accumulate((work[document] for document in reversed(self.order)), initial=0.0)][::-1]
        """Work of order[i] and what comes after it: what remains when i is next."""
        self._bulk = self.work_after[0] * BULK_TOKENS / max(1, sum(tokens))
        """Work after which what it gets counts for more."""
        self.next = 0
        self.computing = 0
        """Batches in compute that hold documents of it."""
        self.again = 0
        """Batches of it that wait to be computed once more."""
        self.dropped = False

    @property
    def remaining(self) -> float:
        return self.work_after[self.next]

    @property
    def is_bulk(self) -> bool:
        return self.work_after[0] - self.remaining > self._bulk

    @property
    def waits(self) -> bool:
        return self.next < len(self.order)

    @property
    def is_done(self) -> bool:
        return not (self.waits or self.computing or self.again)

    def take(self) -> int:
        """The next document, charged for."""
        document = self.order[self.next]
        self.tag += self.work[document] * (BULK_WEIGHT if self.is_bulk else 1)
        self.next += 1
        return document
