"""A load offered to one server, and the report of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from rerank_toolkit.bench.conditions import conditions
from rerank_toolkit.bench.killing import WorkerKiller
from rerank_toolkit.bench.load import GRACE_S, count, latencies, memory_growth, offer
from rerank_toolkit.bench.process_tree import MemoryWatch
from rerank_toolkit.bench.results import LoadReport
from rerank_toolkit.bench.rounds import workload_requests
from rerank_toolkit.bench.saturation import saturate
from rerank_toolkit.bench.target import Target
from rerank_toolkit.bench.texts import TextRuler
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.client import RerankClient, Retries

WATCH_S = 0.5
CAPACITY_SECONDS = 10.0
IN_FLIGHT = 4
DIFFERENT_REQUESTS = 16


def measure_load(
    url: str,
    pid: int | None,
    *,
    workload: Workload,
    rate: float | None,
    times_capacity: float,
    seconds: float,
    time_limit_s: float,
    kill_every_s: float | None,
    progress: Callable[[str], None],
) -> LoadReport:
    """Offers `rate` requests a second, or `times_capacity` of what the server at `url` answers under saturation.

    `pid` is its process where it is ours: its memory is watched, and its workers killed every `kill_every_s`.
    Raises what the client does if the server answers nothing to begin with.
    """
    with RerankClient(url, retries=Retries(attempts=1), timeout_s=time_limit_s + GRACE_S) as client:
        target = Target(client)
        ruler = TextRuler.calibrate(lambda query, texts: target.ask(query, texts).origin.tokens)
        requests = workload_requests(workload, DIFFERENT_REQUESTS, tokens_per_word=ruler.tokens_per_word)
        capacity = None
        if rate is None:
            throughput = saturate(target, requests, in_flight=IN_FLIGHT, seconds=CAPACITY_SECONDS)
            capacity = throughput.documents_per_second / workload.documents
            progress(f"capacity: {capacity:.2f} requests/s of {workload.documents} documents")
        offered = rate if rate is not None else times_capacity * (capacity or 0.0)
        progress(f"offering {offered:.2f} requests/s for {seconds:g} s")
        with ExitStack() as stack:
            watch = stack.enter_context(MemoryWatch(pid, WATCH_S)) if pid else None
            killer = stack.enter_context(WorkerKiller(pid, kill_every_s, seconds)) if pid and kill_every_s else None
            outcomes = offer(client, requests, per_second=offered, seconds=seconds, progress=progress)
    origin = target.first
    points = watch.points if watch else []
    return LoadReport(
        conditions=conditions(origin, workload),
        model=origin.model,
        engine=origin.engine,
        dtype=origin.dtype,
        workers=origin.workers,
        documents_per_request=workload.documents,
        capacity_per_second=round(capacity, 3) if capacity else None,
        offered_per_second=round(offered, 3),
        seconds=seconds,
        time_limit_s=time_limit_s,
        sent=len(outcomes),
        answered=sum(outcome.kind == "answered" for outcome in outcomes),
        refused=count(outcomes, "refused"),
        failed=count(outcomes, "failed"),
        hung=sum(outcome.kind == "hung" for outcome in outcomes),
        accepted=latencies(outcomes, "answered"),
        refusals=latencies(outcomes, "refused"),
        memory=points,
        memory_growth_mib=memory_growth(points, seconds),
        workers_killed=killer.killed if killer else 0,
    )
