"""`rerank local`: an AWS on this machine, for stock cdk and stock boto3."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from rerank_toolkit.console import Column, print_json, print_table, print_text, say, status
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.local_sagemaker.lifecycle import down as stop
from rerank_toolkit.local_sagemaker.lifecycle import environment, find_running, overriding, read_status
from rerank_toolkit.local_sagemaker.lifecycle import up as start
from rerank_toolkit.local_sagemaker.state import ServerRecord, StateDirectory

app = cyclopts.App(name="local", help="An AWS on this machine: stock cdk and boto3 work against it.")

# -P: a folder called infra where the user stands is not ours.
CDK_APP = f"{shlex.quote(sys.executable)} -P -m infra"
Flag = Parameter(negative=())
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@app.command
def up(
    *,
    port: Annotated[int, Parameter(validator=cyclopts.validators.Number(gte=0, lte=65535))] = 0,
    region: str = "us-east-1",
    foreground: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Starts the local AWS in the background, or tells of the one that runs.

    The lines on stdout are for a shell: `eval "$(rerank local up)"`.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0 takes a free one.
    region
        The region that it plays.
    foreground
        Stay here; Ctrl-C stops it and removes everything.
    json
        Print a JSON document instead of shell lines.
    """
    state = StateDirectory.find()
    _interrupt_once()
    if not foreground:
        _announce(state, *_start(state, port, region), json=json)
        return
    say("Starting the local AWS …")
    record, new = start(state, port=port, region=region)
    if not new:
        raise InvalidInput("--foreground", [Fault("", f"one is running already, pid {record.pid}: rerank local down")])
    try:
        _announce(state, record, new, json=json)
        say("Ctrl-C stops it.")
        while find_running(state) == record:
            time.sleep(0.2)
        say("The local AWS was stopped from elsewhere.")
    finally:
        if stop(state, only=record):
            _tell_down(state)


@app.command
def down() -> None:
    """Stops the local AWS and its endpoints, and removes everything it kept."""
    with status("Stopping the local AWS …"):
        state = StateDirectory.find()
        was_running = stop(state)
    if was_running:
        _tell_down(state)
        if left := [name for name in environment(state, {}) if name.startswith("AWS_") and name in os.environ]:
            say(f"This shell still points there: unset {' '.join(left)}")
    else:
        say("No local AWS was running.")


@app.command(name="status")
def show_status(*, json: Annotated[bool, Flag] = False) -> int:
    """Shows endpoints, stacks, and what was recorded but not made. Exit code 1 if none is running.

    Parameters
    ----------
    json
        Print a JSON document instead of tables.
    """
    state = StateDirectory.find()
    record = find_running(state)
    if record is None:
        if json:
            print_json({"running": False})
        say("No local AWS is running; start it: rerank local up")
        return 1
    found = read_status(record)
    if json:
        print_json({"running": True, **_document(state, record, environment(state, os.environ)), **found})
        return 0
    say(f"{record.endpoint_url}, {record.region}, pid {record.pid}, log {state.log}")
    _print_endpoints(found["endpoints"])
    _print_stacks(found["stacks"], found["recorded_only"])
    return 0


def _interrupt_once() -> None:
    """The first signal to end raises KeyboardInterrupt; an impatient second one must not leave half of a server."""

    def interrupt(*_: object) -> None:
        for number in _ENDING:
            signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it for SIGHUP
            signal.signal(number, interrupt)


def _start(state: StateDirectory, port: int, region: str) -> tuple[ServerRecord, bool]:
    with status("Starting the local AWS …"):
        return start(state, port=port, region=region)


def _tell_down(state: StateDirectory) -> None:
    strangers = state.strangers()
    left = f"{state.root} stays, for what is not its own: {', '.join(strangers)}" if strangers else "nothing is left"
    say(f"The local AWS is down; {left}.")


def _announce(state: StateDirectory, record: ServerRecord, new: bool, *, json: bool) -> None:
    variables = environment(state, os.environ)
    how = "is up" if new else "was up already"
    say(f"The local AWS {how}: {record.endpoint_url}, {record.region}, pid {record.pid}")
    if others := overriding(os.environ):
        say(f"Unset {', '.join(others)}: they win over the profile and lead away from the local AWS.")
    if json:
        print_json(_document(state, record, variables))
    else:
        print_text(_shell_lines(variables))


def _document(state: StateDirectory, record: ServerRecord, variables: dict[str, str]) -> dict[str, Any]:
    return {
        "endpoint_url": record.endpoint_url,
        "region": record.region,
        "account": record.account,
        "pid": record.pid,
        "environment": variables,
        "cdk_app": CDK_APP,
        "log": str(state.log),
    }


def _shell_lines(variables: dict[str, str]) -> str:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, f"# From any directory: cdk --app {shlex.quote(CDK_APP)} deploy …"])


def _print_endpoints(endpoints: list[dict[str, Any]]) -> None:
    if not endpoints:
        say("No endpoints.")
        return
    rows = [
        [
            endpoint["name"],
            endpoint["status"],
            str(container.get("instance") or "serverless") if container else "–",
            str(container.get("pid", "–")),
            (endpoint["failure_reason"] or container.get("log") or "–").partition("\n")[0],
        ]
        for endpoint in endpoints
        for container in endpoint["containers"] or [{}]
    ]
    names = ("endpoint", "status", "instance", "pid", "log or failure")
    print_table([Column(name) for name in names], rows)


def _print_stacks(stacks: list[dict[str, Any]], recorded_only: list[dict[str, str]]) -> None:
    if not stacks:
        say("No stacks.")
        return
    print_table(
        [Column("stack"), Column("status"), Column("resources", "right")],
        [[stack["name"], stack["status"], str(stack["resources"])] for stack in stacks],
    )
    if recorded_only:
        print_table(
            [Column("recorded, not made"), Column("stack"), Column("type")],
            [[item["logical_id"], item["stack"], item["type"]] for item in recorded_only],
        )
