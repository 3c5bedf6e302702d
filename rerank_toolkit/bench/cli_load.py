"""`rerank bench load` and `rerank bench drain`: a server under more than it can do, and at its end."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from rerank_toolkit.bench import tables
from rerank_toolkit.bench.drain import measure_drain
from rerank_toolkit.bench.interrupts import orderly_end
from rerank_toolkit.bench.overload import measure_load
from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.console import print_text, say
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.settings import Settings

TIME_LIMIT_S = Settings().time_limit_s
OWN_PART_S = 1.0
"""Of an answer's time: until a busy caller sends, and until it has read. The server's limit can't know of it."""
Seconds = Annotated[float, Parameter(validator=Number(gt=0))]


def load(
    *,
    url: str | None = None,
    start: Path | None = None,
    rate: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    times_capacity: Annotated[float, Parameter(validator=Number(gt=0))] = 3.0,
    seconds: Seconds = 60.0,
    documents_per_request: Annotated[int, Parameter(name="--documents", validator=Number(gte=1))] = 25,
    time_limit_seconds: Seconds = TIME_LIMIT_S,
    kill_worker_every: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    out: Path | None = None,
) -> int:
    """Send more than a server can do, and tell what becomes of every request.

    Requests come at random moments, a fixed number a second on average, whether or not earlier ones are answered.
    Ends with 1 if one hung, broke, or got a 5xx other than 503, or if accepted ones were answered late.

    Parameters
    ----------
    url
        Address of a running server, such as http://127.0.0.1:8080.
    start
        Folder of an artifact: a server is started for the load and stopped after it, and its memory is watched.
    rate
        Requests a second; without it, --times-capacity.
    times_capacity
        As many times what the server can answer, which is measured first.
    seconds
        How long to send; answers are awaited beyond.
    documents_per_request
        Documents in each request.
    time_limit_seconds
        Within which a server answers or refuses; one that is started here is told so.
    kill_worker_every
        Kill one of the workers of the server that was started here every so many seconds.
    out
        File to write the report to (….json).
    """
    _refuse(url, start, kill_worker_every)
    workload = replace(Workload(), documents=documents_per_request)
    with ExitStack() as stack:
        stack.enter_context(orderly_end())
        pid = None
        if start is not None:
            say(f"starting a server of {start}")
            limit = {"RERANK_TIME_LIMIT_S": str(time_limit_seconds)}
            server = stack.enter_context(serve(start, environment=limit))
            url, pid = server.url, server.pid
        report = measure_load(
            url or "",
            pid,
            workload=workload,
            rate=rate,
            times_capacity=times_capacity,
            seconds=seconds,
            time_limit_s=time_limit_seconds,
            kill_every_s=kill_worker_every,
            progress=say,
        )
    if out:
        documents.write(out, report)
        say(f"wrote {out}")
    print_text(tables.show(report))
    late = report.accepted is not None and report.accepted.p95_ms > (time_limit_seconds + OWN_PART_S) * 1e3
    return 1 if report.failed or report.hung or late else 0


def drain(
    *,
    start: Path,
    tries: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    documents_per_request: Annotated[int, Parameter(name="--documents", validator=Number(gte=1))] = 25,
    out: Path | None = None,
) -> int:
    """End a server with SIGTERM under load, again and again, and tell whether a request was lost.

    Ends with 1 if a request was neither answered nor refused, or a server ended with another code than 0.

    Parameters
    ----------
    start
        Folder of the artifact that is served.
    tries
        How many servers are started and ended.
    documents_per_request
        Documents in each request.
    out
        File to write the report to (….json).
    """
    with orderly_end():
        workload = replace(Workload(), documents=documents_per_request)
        report = measure_drain(start, tries=tries, workload=workload, progress=say)
    if out:
        documents.write(out, report)
        say(f"wrote {out}")
    print_text(tables.show(report))
    return 1 if any(one.lost or one.exit_code for one in report.tries) else 0


def _refuse(url: str | None, start: Path | None, kill_worker_every: float | None) -> None:
    faults = []
    if (url is None) == (start is None):
        faults.append(Fault("--url, --start", "name exactly one of them"))
    if url is not None and not url.startswith(("http://", "https://")):
        faults.append(Fault("--url", f"is {url!r}; expected http://HOST:PORT"))
    if kill_worker_every is not None and start is None:
        faults.append(Fault("--kill-worker-every", "needs --start: only workers of a server started here are killed"))
    if faults:
        raise InvalidInput("options", faults)
