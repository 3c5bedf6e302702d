"""What reaches the log at each level."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys
from inference_container.logs import configure_logging, log_event
configure_logging(sys.argv[1])
log_event("ours", level=logging.INFO)
for level in (logging.INFO, logging.WARNING, logging.ERROR):
    logging.getLogger("uvicorn.error").log(level, "theirs, %d", level)
"""


@pytest.mark.parametrize(
    ("level", "events"),
    [("info", ["ours", "theirs, 30", "theirs, 40"]), ("error", ["theirs, 40"])],
)
def test_the_servers_library_speaks_up_from_warnings_on(level: str, events: list[str]) -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT, level], capture_output=True, text=True, check=True, timeout=60)
    lines = run.stderr.splitlines()
    assert len(lines) == len(events)
    assert all(f'"event":"{event}"' in line for line, event in zip(lines, events, strict=True))


REQUESTS = """
import asyncio, logging
from inference_container.logs import INFERENCE_ID, configure_logging, log_event, log_metrics, log_unforeseen
configure_logging("error")

async def answer(name):
    INFERENCE_ID.set(name)
    await asyncio.sleep(0)
    try:
        try:
            raise KeyError("what the caller wrote")
        except KeyError as error:
            raise LookupError("what the caller wrote") from error
    except LookupError:
        log_unforeseen()

async def main():
    await asyncio.gather(*(asyncio.create_task(answer(name)) for name in ("first", "second")))
    log_event("stopping", level=logging.ERROR)
    log_metrics({"_aws": {}, "Requests": 2})

asyncio.run(main())
"""


def test_lines_of_a_request_carry_its_inference_id_and_metrics_nothing_else() -> None:
    run = subprocess.run([sys.executable, "-c", REQUESTS], capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in run.stderr.splitlines()]

    assert [line.get("inference_id") for line in lines] == ["first", "second", None, None]
    assert all(line["traceback"].count("Error\n") == 2 for line in lines[:2]), "both exceptions, and where they were"
    assert all("in answer\n" in line["traceback"] for line in lines[:2])
    assert "what the caller wrote" not in run.stderr
    assert lines[3] == {"_aws": {}, "Requests": 2}
