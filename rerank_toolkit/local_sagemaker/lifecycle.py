"""Bringing a local AWS up and down, and telling how it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import psutil
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError, UnknownName
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.local_sagemaker.processes import SERVER_MARK, end_all, is_marked
from rerank_toolkit.local_sagemaker.settings import LocalSettings
from rerank_toolkit.local_sagemaker.state import PROFILE, STATUS_PATH, ServerRecord, StateDirectory

_START_LIMIT_S = 90.0
_POLL_S = 0.05
_LAST_LINES = 15


class StartFailed(ToolkitError):
    """The server ended or did not become ready."""


class StopFailed(ToolkitError):
    """A process of the local AWS can't be ended."""


class NoAnswer(ToolkitError):
    """The server's process is there, but it does not answer, or not with its status."""


def up(state: StateDirectory, *, port: int, region: str) -> tuple[ServerRecord, bool]:
    """The running server, and whether it was started just now. Raises StartFailed, UnknownName for the region,
    InvalidInput for another port or region than the running one's, or for a setting that is none."""
    _check_region(region)
    LocalSettings.from_environment(os.environ)
    with state.lock():
        running = find_running(state)
        if running is not None:
            _check_same(running, port, region)
            return running, False
        _sweep(state)
        return _start(state, port, region), True


def down(state: StateDirectory, *, only: ServerRecord | None = None) -> bool:
    """Stops the server and its endpoints and removes the state; False if there was nothing to stop, or if meanwhile
    another server than `only` runs. Raises StopFailed, StateUnusable."""
    with state.lock():
        if only is not None and state.read_record() not in (None, only):
            return False
        was_running = _sweep(state)
        state.remove()
    return was_running


def find_running(state: StateDirectory) -> ServerRecord | None:
    """The record, if its process still is this directory's server."""
    record = state.read_record()
    try:
        running = record is not None and is_marked(psutil.Process(record.pid), SERVER_MARK, state.mark)
    except psutil.NoSuchProcess:
        return None
    return record if running else None


def read_status(record: ServerRecord) -> dict[str, Any]:
    """Endpoints, stacks and what was only recorded; raises NoAnswer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{record.endpoint_url}{STATUS_PATH}", timeout=10) as answer:
            status: dict[str, Any] = json.load(answer)
            return status
    except urllib.error.HTTPError as error:
        raise NoAnswer(
            f"the local AWS at {record.endpoint_url} (pid {record.pid}) answered {error.code} {error.reason} "
            "when asked for its status; its log tells why, and `rerank local up --json` where that is"
        ) from None
    except OSError as error:
        raise NoAnswer(
            f"the local AWS at {record.endpoint_url} (pid {record.pid}) does not answer: {error}; "
            "end it and start it again: rerank local down && rerank local up"
        ) from None


def environment(state: StateDirectory, inherited: Mapping[str, str]) -> dict[str, str]:
    """Variables that lead stock cdk and boto3 here; with `inherited` naming a proxy, also around it."""
    variables = {
        "AWS_CONFIG_FILE": str(state.config),
        "AWS_SHARED_CREDENTIALS_FILE": str(state.credentials),
        "AWS_PROFILE": PROFILE,
    }
    if any(name.lower() in ("http_proxy", "all_proxy") and value for name, value in inherited.items()):
        around = f"{inherited.get('NO_PROXY', '')},{inherited.get('no_proxy', '')},127.0.0.1,localhost".split(",")
        merged = ",".join(dict.fromkeys(name.strip() for name in around if name.strip()))
        variables |= {"NO_PROXY": merged, "no_proxy": merged}  # some look at the one, some at the other first
    return variables


def overriding(inherited: Mapping[str, str]) -> list[str]:
    """Variables of the user's that would win over the profile, and lead somewhere else."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION")
    found = [name for name in inherited if name in names or name.startswith("AWS_ENDPOINT_URL")]
    ignoring = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"  # the profile's endpoint_url among them
    return [*found, ignoring] if inherited.get(ignoring, "").lower() == "true" else found


def _start(state: StateDirectory, port: int, region: str) -> ServerRecord:
    try:
        with state.log.open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "rerank_toolkit.local_sagemaker",
                    f"--port={port}",
                    f"--region={region}",
                ],
                env=_server_environment(state.mark),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise _failed(state, f"it ended with code {process.returncode}", port)
            record = state.read_record()
            if record is not None and record.pid == process.pid:
                return record
            time.sleep(_POLL_S)
        raise _failed(state, f"it was not ready after {_START_LIMIT_S:g} s", port)
    except BaseException:
        _sweep(state)
        state.remove()
        raise


def _failed(state: StateDirectory, why: str, port: int) -> StartFailed:
    lines = state.log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    advice = f" If port {port} is taken, choose another, or none." if port else ""
    return StartFailed(f"the local AWS did not start: {why}.{advice} Its log ended:\n" + "\n".join(lines))


def _server_environment(mark: str) -> dict[str, str]:
    """Without the user's AWS settings and proxies: the server must never speak to anyone but itself."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MOTO_")) and not name.lower().endswith("_proxy")
    }
    return {
        **kept,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        SERVER_MARK: mark,
        "MOTO_DISABLE_GLOBAL_CORS": "true",  # no web page in this user's browser is a caller
    }


def _check_region(region: str) -> None:
    # Not from a session, which reads the user's profile: this shell's may be that of a local AWS that is no more.
    known = EndpointResolver(create_loader().load_data("endpoints")).get_available_endpoints("api.sagemaker")
    if region not in known:
        raise UnknownName(f"no region is called {region!r}; SageMaker is in {', '.join(known)}")


def _check_same(running: ServerRecord, port: int, region: str) -> None:
    faults = []
    if port not in (0, running.port):
        faults.append(Fault("--port", f"is {port}; the one that runs listens on {running.port}"))
    if region != running.region:
        faults.append(Fault("--region", f"is {region}; the one that runs is {running.region}"))
    if faults:
        raise InvalidInput("a local AWS is running already; stop it first with `rerank local down`", faults)


def _sweep(state: StateDirectory) -> bool:
    """Ends the server, even if its record is lost, and what it left behind if it was killed; whether there was any.
    Call it holding the lock."""
    found, alive = end_all(state.mark)
    if alive:
        raise StopFailed(f"even SIGKILL did not end {', '.join(f'pid {pid}' for pid in alive)}; nothing was removed")
    state.clear()
    return found
