"""`rerank bench replay`: one trace at several shares of a server's capacity."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from rerank_toolkit.bench import replay_report
from rerank_toolkit.bench.cli_load import TIME_LIMIT_S
from rerank_toolkit.bench.interrupts import orderly_end
from rerank_toolkit.bench.replay import Timing, measure_replay
from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.bench.trace import Mix, draw_trace, read_trace
from rerank_toolkit.console import Column, Format, print_json, print_table, say
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

DRAWN_REQUESTS = 5000
Seconds = Annotated[float, Parameter(validator=Number(gt=0))]


def replay(
    *,
    url: str | None = None,
    start: Path | None = None,
    trace: Path | None = None,
    seed: int = 0,
    loads: str = "0.3,0.6,0.8",
    rounds: Annotated[int, Parameter(validator=Number(gte=1))] = 5,
    replay_seconds: Seconds = 40.0,
    saturate_seconds: Seconds = 20.0,
    alone_seconds: Seconds = 10.0,
    out: Path | None = None,
    format: Format = "table",
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> None:
    """Measure what a server can do, and replay one trace at shares of that: latency, queue, and whose CPU it took.

    Each round sends requests one at a time, then saturates the server, then replays the trace at every load, the
    highest first, so that figures of one round are of the same minutes. Takes about 13 minutes. What --out holds is
    what predictions are held against.

    Parameters
    ----------
    url
        Address of a running server, such as http://127.0.0.1:8080; whose CPU its work took is then unknown.
    start
        Folder of an artifact: a server is started for the measurement and stopped after it.
    trace
        File of JSON lines, a request each: {"at_s": 0.25, "tokens": [120, 88]}, its moment and the tokens of each
        document as the model reads it, query and special tokens included. Its pace is stretched to each load. Without
        it: Poisson arrivals, lognormal numbers of documents, lognormal lengths.
    seed
        Of the trace that is drawn.
    loads
        Shares of the capacity to offer, with commas.
    rounds
        How often everything is measured; figures are medians over them.
    replay_seconds
        Of sending, at each load.
    saturate_seconds
        Of saturation, in each round.
    alone_seconds
        Of requests one at a time, in each round.
    out
        File to write the report to (….json), every request in it.
    format
        How to print the summary; json prints the whole report.
    json
        Short for --format json.
    """
    shares = _check(url, start, loads, out)
    mix = Mix()
    wanted = read_trace(trace) if trace else draw_trace(mix, requests=DRAWN_REQUESTS, seed=seed)
    with ExitStack() as stack:
        stack.enter_context(orderly_end())
        pid = None
        if start is not None:
            say(f"starting a server of {start}")
            server = stack.enter_context(serve(start))
            url, pid = server.url, server.pid
        report = measure_replay(
            url or "",
            pid,
            trace=wanted,
            query_tokens=mix.query_tokens,
            loads=shares,
            timing=Timing(alone_seconds, saturate_seconds, replay_seconds, rounds),
            time_limit_s=TIME_LIMIT_S,
            progress=say,
        )
    if out:
        documents.write(out, report)
        say(f"wrote {out}")
    if json or format == "json":
        print_json(report)
        return
    columns = [Column(name, "left" if name == "load" else "right") for name in replay_report.COLUMNS]
    print_table(columns, replay_report.rows(report), format=format, title=replay_report.headline(report))


def _check(url: str | None, start: Path | None, loads: str, out: Path | None) -> list[float]:
    """The loads; raises InvalidInput with all faults."""
    faults = []
    if (url is None) == (start is None):
        faults.append(Fault("--url, --start", "name exactly one of them"))
    if url is not None and not url.startswith(("http://", "https://")):
        faults.append(Fault("--url", f"is {url!r}; expected http://HOST:PORT"))
    if out is not None and not _can_write(out):
        faults.append(Fault("--out", f"{out} can't be written; expected a file in a folder of yours"))
    shares: list[float] = []
    for text in loads.split(","):
        try:
            share = float(text)
        except ValueError:
            share = 0.0
        if not 0 < share < 1:  # NaN included
            faults.append(Fault("--loads", f"holds {text!r}; expected shares between 0 and 1, such as 0.3,0.6,0.8"))
        elif share in shares:
            faults.append(Fault("--loads", f"names {text} twice"))
        shares.append(share)
    if faults:
        raise InvalidInput("options", faults)
    return shares


def _can_write(path: Path) -> bool:
    """Asked before a quarter of an hour is spent on what goes there."""
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    return not path.is_dir() and folder.is_dir() and os.access(path if path.exists() else folder, os.W_OK)
