"""What a server takes to start and to run: seconds until it is ready, memory of all its processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from rerank_toolkit.bench.conditions import conditions, origin_of
from rerank_toolkit.bench.process_tree import MemoryWatch, peak_rss_mib, pss_mib
from rerank_toolkit.bench.results import Footprint, FootprintReport
from rerank_toolkit.bench.rounds import workload_requests
from rerank_toolkit.bench.server_process import Server, serve
from rerank_toolkit.bench.sides import ContainerSide
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.manifest import FILE_NAME, Manifest
from rerank_toolkit.contracts.wire import Origin

STARTS = 5
REQUESTS = 4
LONG_DOCUMENTS = 4
WATCH_S = 0.02


def measure_footprint(
    artifact: Path, *, workers: Sequence[int], starts: int = STARTS, progress: Callable[[str], None]
) -> FootprintReport:
    """Starts the server of `artifact` with each number of `workers` (0: its own choice), and watches it work."""
    longest = documents.read(artifact / FILE_NAME, Manifest).max_tokens
    footprints = []
    for count in workers:
        environment = {"RERANK_WORKERS": str(count)}
        ready = []
        for _ in range(starts - 1):
            with serve(artifact, environment=environment) as server:
                ready.append(server.ready_s)
        with serve(artifact, environment=environment) as server:
            ready.append(server.ready_s)
            idle = pss_mib(server.pid)
            origin, peak_pss, peak_rss = _watch_workload(server)
        progress(f"{origin.workers} workers: ready in {min(ready):.2f} s, peak {peak_rss:,.0f} MiB")
        with serve(artifact, environment=environment) as server:
            long = _watch_long(server, longest)
        footprints.append(
            Footprint(
                workers=origin.workers,
                ready_s=[round(seconds, 3) for seconds in ready],
                idle_pss_mib=round(idle, 1),
                peak_pss_mib=round(peak_pss, 1),
                peak_rss_mib=round(peak_rss, 1),
                long_documents=LONG_DOCUMENTS,
                long_tokens=long[0],
                long_peak_pss_mib=round(long[1], 1),
                long_peak_rss_mib=round(long[2], 1),
                long_seconds=round(long[3], 2),
            )
        )
    return FootprintReport(
        conditions=conditions(origin, Workload()),
        model=origin.model,
        engine=origin.engine,
        dtype=origin.dtype,
        footprints=footprints,
    )


def _watch_workload(server: Server) -> tuple[Origin, float, float]:
    """How the last answer was made; the family's highest PSS and the sum of its peaks, in MiB."""
    with closing(ContainerSide("ours", server.url, server.pid)) as side:
        tokens_per_word = side.ruler().tokens_per_word
        with MemoryWatch(server.pid, WATCH_S) as watch:
            for request in workload_requests(Workload(), REQUESTS, tokens_per_word=tokens_per_word):
                origin = origin_of(side.score(*request))
    return origin, watch.peak_mib, peak_rss_mib(server.pid)


def _watch_long(server: Server, longest: int) -> tuple[int, float, float, float]:
    """Tokens of each, highest PSS, sum of peaks, and seconds, of LONG_DOCUMENTS that fill the model's length."""
    with closing(ContainerSide("ours", server.url, server.pid)) as side:
        ruler = side.ruler()
        query = ruler.text(Workload().query_tokens)
        documents = [ruler.text(longest * 1.1, start=index + 1) for index in range(LONG_DOCUMENTS)]  # cut to it
        start = time.perf_counter()
        with MemoryWatch(server.pid, WATCH_S) as watch:
            origin = origin_of(side.score(query, documents))
        seconds = time.perf_counter() - start
        return origin.tokens // LONG_DOCUMENTS, watch.peak_mib, peak_rss_mib(server.pid), seconds
