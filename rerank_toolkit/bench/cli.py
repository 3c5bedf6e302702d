"""`rerank bench`: measure an endpoint and record its profile."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import App, ArgumentCollection, Group, Parameter
from cyclopts.validators import LimitedChoice, Number

from rerank_toolkit.bench import summary
from rerank_toolkit.bench.interrupts import orderly_end
from rerank_toolkit.bench.recorder import record as record_profile
from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.catalog.instances import UnknownInstance, find_instance
from rerank_toolkit.client import RerankClient, Retries
from rerank_toolkit.console import Column, Format, print_json, print_table, say
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput, UnknownName
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.profile import Profile

BUDGET_S = 120.0
QUICK_S = 15.0

# One refusal is part of what is measured, so nothing is sent twice behind the bench's back.
NO_RETRIES = Retries(attempts=1)


def _one_target(arguments: ArgumentCollection) -> None:
    if sum(argument.has_tokens for argument in arguments) != 1:
        raise ValueError(f"Name exactly one of {', '.join(argument.name for argument in arguments)}.")


TARGET = Group("Target", sort_key=0, validator=_one_target)
TIME = Group("Time", sort_key=1, validator=LimitedChoice(0, 1))
FLAG = {"negative": (), "show_default": False}

app = App(name="bench", help="Measure an endpoint: its profile, its speed beside others', what it does under load.")
app.command(
    "rerank_toolkit.bench.cli_compare:compare",
    name="compare",
    help="Measure side by side: our server and others', models, memory and start, small requests beside large ones.",
)
app.command(
    "rerank_toolkit.bench.cli_compare:renew_tables",
    name="tables",
    help="Write the tables of measurements anew into docs/benchmarks.md.",
)
app.command(
    "rerank_toolkit.bench.cli_load:load",
    name="load",
    help="Send more than a server can do, and tell what becomes of every request.",
)
app.command(
    "rerank_toolkit.bench.cli_replay:replay",
    name="replay",
    help="Measure what a server can do, and replay one trace at shares of that.",
)
app.command(
    "rerank_toolkit.bench.cli_load:drain",
    name="drain",
    help="End a server with SIGTERM under load, again and again, and tell whether a request was lost.",
)


@app.command
def record(
    *,
    endpoint: Annotated[str | None, Parameter(group=TARGET)] = None,
    url: Annotated[str | None, Parameter(group=TARGET)] = None,
    start: Annotated[Path | None, Parameter(group=TARGET)] = None,
    quick: Annotated[bool, Parameter(group=TIME, **FLAG)] = False,
    budget_seconds: Annotated[float | None, Parameter(group=TIME, validator=Number(gt=0))] = None,
    out: Path | None = None,
    instance: str | None = None,
    region: str | None = None,
    profile: str | None = None,
    format: Format = "table",
    json: Annotated[bool, Parameter(**FLAG)] = False,
) -> None:
    """Measure one endpoint under no other load, and write its profile: what the cost model prices options by.

    Requests of 1 to 64 documents and up to the model's longest texts are sent one at a time, in interleaved
    rounds; then the endpoint is saturated. Shapes that would take too long are left out, and named.

    Parameters
    ----------
    endpoint
        Name of a SageMaker endpoint with one instance.
    url
        Address of a running server, such as http://127.0.0.1:8080.
    start
        Folder of an artifact: a server is started for the measurement and stopped after it.
    quick
        Take about 15 s: good for a first look, not for a bill.
    budget_seconds
        Take about this long; 120 if not said otherwise.
    out
        File to write (….json), or folder to write MODEL-ENGINE-DTYPE-HARDWARE.json into. Without it: the current
        folder, or nowhere with --json.
    instance
        SageMaker's name for the machine behind the endpoint, such as ml.c7i.xlarge.
    region
        AWS region of --endpoint, if not the configured one.
    profile
        AWS profile to call --endpoint with, if not the configured one.
    format
        How to print the summary; json prints the profile itself.
    json
        Short for --format json.
    """
    if instance is not None:
        _check_instance(instance)
    if url is not None and not url.startswith(("http://", "https://")):
        expected = "expected http://HOST:PORT; the name of a SageMaker endpoint goes with --endpoint"
        raise InvalidInput("options", [Fault("--url", f"is {url!r}; {expected}")])
    format = "json" if json else format
    seconds = QUICK_S if quick else budget_seconds or BUDGET_S
    with ExitStack() as stack:
        stack.enter_context(orderly_end())
        if start is not None:
            say(f"starting a server of {start}")
            url = stack.enter_context(serve(start)).url
        address = url if url is not None else endpoint or ""
        client = stack.enter_context(RerankClient(address, region=region, profile=profile, retries=NO_RETRIES))
        measured = record_profile(client, seconds=seconds, progress=say, instance=instance)
    _write(measured, out, format)
    _print(measured, format)


def _write(profile: Profile, out: Path | None, format: Format) -> None:
    if out is None and format == "json":
        return
    path = out or Path()
    if path.suffix != ".json":
        path /= summary.file_name(profile)
    documents.write(path, profile)
    say(f"wrote {path}")


def _print(profile: Profile, format: Format) -> None:
    if format == "json":
        print_json(profile)
        return
    columns = [Column(name, "right") for name in summary.COLUMNS]
    print_table(columns, summary.rows(profile), format=format, title=summary.headline(profile))


def _check_instance(name: str) -> None:
    try:
        find_instance(name)
    except UnknownInstance as error:
        raise UnknownName(f"--instance: {error}") from None
