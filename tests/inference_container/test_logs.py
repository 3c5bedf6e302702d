"""What reaches the log at each level."""

from __future__ import annotations

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
