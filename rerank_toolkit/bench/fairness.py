"""How long a small request takes while a large one is in service, against its time on an idle server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from rerank_toolkit.bench.conditions import conditions, origin_of
from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.results import Fairness
from rerank_toolkit.bench.rounds import percentile, workload_requests
from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.bench.sides import ContainerSide, Scored
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.contracts.errors import ToolkitError

SMALL, LARGE = 10, 1000
SAMPLES = 200
WARM_UPS = 10
PAUSE_S = 0.01
"""Between two small requests, so that they meet the large one's batches at any point."""


def measure_fairness(artifact: Path, *, samples: int = SAMPLES, progress: Callable[[str], None]) -> Fairness:
    """`samples` small requests one after the other on an idle server, then as many beside one large after another."""
    with (
        serve(artifact) as server,
        closing(ContainerSide("small", server.url, server.pid)) as side,
        closing(ContainerSide("large", server.url, server.pid)) as other,
    ):
        tokens_per_word = side.ruler().tokens_per_word
        small = workload_requests(replace(Workload(), documents=SMALL), samples, tokens_per_word=tokens_per_word)
        large = workload_requests(replace(Workload(), documents=LARGE), 1, tokens_per_word=tokens_per_word)[0]
        for request in small[:WARM_UPS]:
            side.score(*request)
        idle = [_paused(side, request) for request in small]
        progress(f"idle: {SMALL} documents in {percentile(_ms(idle), 0.95):.0f} ms at p95")
        with _Occupied(other, large) as occupied:
            loaded = [_paused(side, request) for request in small]
        progress(f"beside {LARGE} documents: {percentile(_ms(loaded), 0.95):.0f} ms at p95")
    origin = origin_of(idle[-1])
    idle_p95, loaded_p95 = percentile(_ms(idle), 0.95), percentile(_ms(loaded), 0.95)
    return Fairness(
        conditions=conditions(origin, replace(Workload(), documents=SMALL)),
        model=origin.model,
        engine=origin.engine,
        dtype=origin.dtype,
        workers=origin.workers,
        small_documents=SMALL,
        large_documents=LARGE,
        idle_ms=_ms(idle),
        loaded_ms=_ms(loaded),
        large_ms=_ms(occupied.answers),
        idle_p95_ms=round(idle_p95, 2),
        loaded_p95_ms=round(loaded_p95, 2),
        times_idle=round(loaded_p95 / idle_p95, 3),
    )


class _Occupied:
    """While the block runs, the same large request is in service, over and over."""

    def __init__(self, side: ContainerSide, request: tuple[str, list[str]]) -> None:
        self.answers: list[Scored] = []
        self._side = side
        self._request = request
        self._stop = threading.Event()
        self._failure: ToolkitError | None = None
        self._thread = threading.Thread(target=self._occupy, daemon=True, name="occupier")

    def __enter__(self) -> _Occupied:
        self._thread.start()
        time.sleep(1.0)  # read, tokenised and in service
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure:
            raise self._failure
        if not self.answers:
            raise NotMeasurable("no large request was answered, so nothing was measured beside one")

    def _occupy(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(self._side.score(*self._request))
            except ToolkitError as error:
                self._failure = error
                break


def _paused(side: ContainerSide, request: tuple[str, list[str]]) -> Scored:
    time.sleep(PAUSE_S)
    return side.score(*request)


def _ms(answers: list[Scored]) -> list[float]:
    return [round(scored.seconds * 1e3, 2) for scored in answers]
