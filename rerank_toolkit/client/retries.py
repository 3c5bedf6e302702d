"""When to ask again. One policy for both ways to an endpoint.

Sent again is what was refused before any compute, and what a failed connection kept from arriving: ranking twice
does no harm. A request that timed out is not: its work would be added to an endpoint that is already too slow.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from rerank_toolkit.client.errors import Overloaded, Unreachable

Answer = TypeVar("Answer")


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """At most `attempts` tries; waits double from `first_wait_s` and never exceed `longest_wait_s`.

    Each wait is drawn between half and all of its length, so that callers refused together don't come back
    together. It comes on top of the wait that an endpoint asks for, which may be none at all. An endpoint that
    asks for more than `longest_wait_s` is not asked again: the caller learns at once what it would otherwise
    learn late.
    """

    attempts: int = 3
    first_wait_s: float = 0.25
    longest_wait_s: float = 5.0

    def call(self, send: Callable[[], Answer], *, sleep: Callable[[float], None] = time.sleep) -> Answer:
        """What `send` returns; its last error when the tries are used up."""
        for attempt in range(1, self.attempts):
            try:
                return send()
            except (Overloaded, Unreachable) as error:
                wait = self._wait(attempt, error.retry_after if isinstance(error, Overloaded) else None)
                if wait is None:
                    raise
                sleep(wait)
        return send()

    def _wait(self, attempt: int, retry_after: float | None) -> float | None:
        if retry_after is not None and retry_after > self.longest_wait_s:
            return None
        longest = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1))
        return (retry_after or 0.0) + longest * random.uniform(0.5, 1.0)
