"""Open-loop load: requests come when they are due, however the server fares, and each one's end is told.

A closed loop, where each caller waits for its answer before it asks again, slows down with the server and never
shows overload. Here the callers don't know of each other: arrivals are a Poisson process of a fixed rate.
"""

from __future__ import annotations

import itertools
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rerank_toolkit.bench.process_tree import MemoryPoint
from rerank_toolkit.bench.results import Latencies
from rerank_toolkit.bench.rounds import Request, percentile
from rerank_toolkit.client import (
    InvalidRequest,
    Overloaded,
    RerankClient,
    ServerFailed,
    TimedOut,
    Unreachable,
)
from rerank_toolkit.contracts.errors import ToolkitError

GRACE_S = 15.0
"""Beyond the server's time limit, until a request that isn't answered counts as hung."""
REFUSALS = (413, 429, 503)
"""Statuses with which a server says at once that it won't do it, or not now."""
SHOWN_EVERY_S = 10.0

Kind = Literal["answered", "refused", "failed", "hung"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended."""

    kind: Kind
    what: str
    """Its status, or the way it broke."""
    due_s: float
    """When it was sent, from the beginning of the load."""
    seconds: float
    """From then to its end."""


def offer(
    client: RerankClient,
    requests: Sequence[Request],
    *,
    per_second: float,
    seconds: float,
    progress: Callable[[str], None],
    seed: int = 0,
) -> list[Outcome]:
    """Sends `requests` over and over for `seconds`, at random moments `per_second` on average; waits for every end.

    The client's timeout tells what is hung. Outcomes come in the order of their ends.
    """
    outcomes: list[Outcome] = []
    start = time.monotonic()

    def send(request: Request, due_s: float) -> None:
        outcomes.append(outcome_of(client, request, start, due_s))  # appending is atomic

    threads = []
    shown = 0.0
    for due_s, request in zip(_arrivals(per_second, seconds, seed), itertools.cycle(requests), strict=False):
        time.sleep(max(0.0, start + due_s - time.monotonic()))
        thread = threading.Thread(target=send, args=(request, due_s), daemon=True)
        thread.start()
        threads.append(thread)
        if due_s >= shown + SHOWN_EVERY_S:
            shown = due_s
            progress(f"{due_s:.0f} s: {len(threads):,} sent, {len(threads) - len(outcomes):,} under way")
    progress(f"sent all; {len(threads) - len(outcomes):,} under way")
    for thread in threads:
        thread.join()
    return outcomes


def count(outcomes: Sequence[Outcome], kind: Kind) -> dict[str, int]:
    """How many of this kind ended in which way."""
    return dict(sorted(Counter(outcome.what for outcome in outcomes if outcome.kind == kind).items()))


def latencies(outcomes: Sequence[Outcome], kind: Kind) -> Latencies | None:
    """Of the outcomes of this kind; None without any."""
    milliseconds = [outcome.seconds * 1e3 for outcome in outcomes if outcome.kind == kind]
    if not milliseconds:
        return None
    p50, p95, p99 = (round(percentile(milliseconds, share), 1) for share in (0.5, 0.95, 0.99))
    return Latencies(p50_ms=p50, p95_ms=p95, p99_ms=p99, longest_ms=round(max(milliseconds), 1))


def memory_growth(points: Sequence[MemoryPoint], seconds: float) -> float | None:
    """MiB between the second quarter of `seconds` and the last, medians of each; None where either has no points.

    The first quarter is left out: buffers grow to their working size once, and stay.
    """
    early = [point.mib for point in points if seconds / 4 <= point.seconds < seconds / 2]
    late = [point.mib for point in points if seconds * 3 / 4 <= point.seconds < seconds]
    return round(statistics.median(late) - statistics.median(early), 1) if early and late else None


def _arrivals(per_second: float, seconds: float, seed: int) -> Iterator[float]:
    """Moments of a Poisson process, the first at 0."""
    draw = random.Random(seed)
    due = 0.0
    while due < seconds:
        yield due
        due += draw.expovariate(per_second)


def outcome_of(client: RerankClient, request: Request, start: float, due_s: float) -> Outcome:
    """Sends it now; `start` is the monotonic clock's time of the load's beginning."""
    kind, what = _send(client, request)
    return Outcome(kind, what, due_s, time.monotonic() - start - due_s)


def _send(client: RerankClient, request: Request) -> tuple[Kind, str]:
    query, texts = request
    try:
        result = client.rerank(query, texts)
    except TimedOut:
        return "hung", "no answer"
    except (Overloaded, InvalidRequest, ServerFailed) as error:
        return ("refused" if error.status in REFUSALS else "failed"), str(error.status)
    except Unreachable as error:
        return "failed", _connection(error)
    except ToolkitError as error:
        return "failed", type(error).__name__
    if sorted(document.index for document in result.results) != list(range(len(texts))):
        return "failed", "answer incomplete"
    return "answered", "200"


def _connection(error: Unreachable) -> str:
    return "no connection" if str(error).startswith("can't connect") else "connection broke"
