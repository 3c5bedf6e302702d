"""SIGTERM under load, again and again: is every request that was sent answered or refused?"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rerank_toolkit.bench.conditions import conditions
from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.load import GRACE_S, Outcome, outcome_of
from rerank_toolkit.bench.results import DrainReport, DrainTry
from rerank_toolkit.bench.rounds import Request, workload_requests
from rerank_toolkit.bench.server_process import Server, serve
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.client import RerankClient, RerankResult, Retries
from rerank_toolkit.contracts.settings import Settings

CALLERS = 8
BEFORE_S = (0.3, 2.0)
"""Of load before the signal, drawn anew for each try."""


def measure_drain(artifact: Path, *, tries: int, workload: Workload, progress: Callable[[str], None]) -> DrainReport:
    """Starts a server of `artifact` and ends it with SIGTERM while CALLERS keep asking, `tries` times."""
    draw = random.Random(0)
    ended: list[DrainTry] = []
    result: RerankResult | None = None
    for number in range(tries):
        with serve(artifact) as server:
            with RerankClient(server.url, retries=Retries(attempts=1)) as client:
                result = client.rerank(*workload_requests(workload, 1)[0])
            ended.append(_try(server, workload_requests(workload, CALLERS), draw.uniform(*BEFORE_S)))
        last = ended[-1]
        progress(
            f"try {number + 1}: {last.in_flight} in flight, {last.answered} answered, {last.refused} refused, "
            f"{last.lost} lost, gone in {last.seconds:.1f} s with code {last.exit_code}"
        )
    if result is None or result.origin is None:
        raise NotMeasurable("the server doesn't tell how its answers are made: it is no container of this toolkit")
    return DrainReport(conditions=conditions(result.origin, workload), model=result.origin.model, tries=ended)


def _try(server: Server, requests: Sequence[Request], before_s: float) -> DrainTry:
    """Callers ask one request after the other, each over a connection of its own, until one isn't answered."""
    outcomes: list[Outcome] = []
    start = time.monotonic()

    def call(request: Request) -> None:
        # A request on an idle connection may cross the server's closing of it, which no server can prevent and
        # which says nothing of requests that it took: so each one opens a connection.
        while True:
            with RerankClient(server.url, retries=Retries(attempts=1), timeout_s=_TIMEOUT_S) as client:
                outcome = outcome_of(client, request, start, time.monotonic() - start)
            outcomes.append(outcome)
            if outcome.kind != "answered":
                return

    callers = [threading.Thread(target=call, args=(request,), daemon=True) for request in requests]
    for caller in callers:
        caller.start()
    time.sleep(before_s)
    signalled = time.monotonic() - start
    server.process.terminate()
    try:
        code = server.process.wait(_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise NotMeasurable(f"the server is still there {_TIMEOUT_S:g} s after SIGTERM") from None
    gone = time.monotonic() - start
    for caller in callers:
        caller.join()
    under_way = [one for one in outcomes if one.due_s < signalled < one.due_s + one.seconds]
    return DrainTry(
        in_flight=len(under_way),
        answered=sum(one.kind == "answered" for one in outcomes),
        refused=sum(one.kind == "refused" or one.what == "no connection" for one in outcomes),
        lost=sum(one.kind in ("failed", "hung") and one.what != "no connection" for one in outcomes),
        seconds=round(gone - signalled, 2),
        exit_code=code,
    )


_TIMEOUT_S = Settings().time_limit_s + GRACE_S
