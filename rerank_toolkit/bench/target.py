"""The endpoint under measurement: every answer is checked to come from the one process that is being profiled."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.client import RerankClient
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES, Origin

# What stays the same from answer to answer while one deployment serves.
_FIXED = (
    "model",
    "engine",
    "engine_version",
    "dtype",
    "threads",
    "workers",
    "token_budget",
    "cpu_model",
    "instruction_set",
    "gpu",
    "seeded",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One answered request."""

    latency_ms: float
    origin: Origin
    documents: int
    truncated_documents: int


class Target:
    """Sends requests through the client and keeps what their answers say of the server. Thread-safe."""

    def __init__(self, client: RerankClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._first: Origin | None = None
        self._startups: set[float] = set()
        self._peak_mib = 0.0

    def ask(self, query: str, documents: Sequence[str]) -> Sample:
        """One request, timed. Raises NotMeasurable where the answer hides its origin or has another than before."""
        start = time.perf_counter()
        result = self._client.rerank(query, documents, top_n=1)
        latency_ms = (time.perf_counter() - start) * 1000
        if result.origin is None:
            raise NotMeasurable(
                f"{self._client.endpoint} answers as {result.model!r} without telling how (no origin in "
                f"{CUSTOM_ATTRIBUTES}): this toolkit's container isn't what serves there, and a profile needs "
                "the hardware, engine and compute time behind each answer; `--start DIR` measures an artifact "
                "without an endpoint"
            )
        self._check(result.origin)
        return Sample(latency_ms, result.origin, len(documents), result.usage.truncated_documents)

    @property
    def first(self) -> Origin:
        """Origin of the first answer: of a server that has not worked yet, where it was freshly started."""
        if self._first is None:
            raise RuntimeError("nothing was asked yet. This is a bug.")
        return self._first

    @property
    def peak_mib(self) -> float:
        """Highest resident memory that any answer told of."""
        return self._peak_mib

    def _check(self, origin: Origin) -> None:
        with self._lock:
            first = self._first = self._first or origin
            self._startups.add(origin.startup_s)
            self._peak_mib = max(self._peak_mib, origin.peak_memory_mib)
            startups = sorted(self._startups)
        changed = [
            f"{name} {getattr(first, name)!r}, then {getattr(origin, name)!r}"
            for name in _FIXED
            if getattr(first, name) != getattr(origin, name)
        ]
        if changed:
            raise NotMeasurable(
                f"{self._client.endpoint} changed under measurement: {'; '.join(changed)}. "
                "Record again when no deployment is under way and all instances are of one type"
            )
        if len(startups) > first.workers:
            shown = ", ".join(f"{startup:g} s" for startup in startups)
            raise NotMeasurable(
                f"the answers of {self._client.endpoint} come from {len(startups)} processes, told apart by their "
                f"start-up times ({shown}): the endpoint has several instances, or restarted. A profile describes "
                "one machine: scale the endpoint to one instance, without autoscaling, and record again"
            )
