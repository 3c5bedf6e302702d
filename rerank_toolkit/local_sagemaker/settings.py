"""What a user may set of the local AWS, by environment variables of the shell that starts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

LONGEST_WAIT = "RERANK_LOCAL_LONGEST_WAIT_S"
SERVERLESS_IDLE = "RERANK_LOCAL_SERVERLESS_IDLE_S"


@dataclass(frozen=True, slots=True)
class LocalSettings:
    longest_wait_s: float = 5.0
    """A rollout's waits, which alarms use to ring, are cut to this: nobody tries a deploy at home for an hour."""
    serverless_idle_s: float = 300.0
    """After so long without a request a serverless container is stopped, and the next request waits for a new one."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> LocalSettings:
        """Raises InvalidInput naming every variable that is no number of seconds."""
        read, faults = {}, []
        for name, field in ((LONGEST_WAIT, "longest_wait_s"), (SERVERLESS_IDLE, "serverless_idle_s")):
            text = environment.get(name, "").strip()
            if not text:
                continue
            try:
                seconds = float(text)
            except ValueError:
                seconds = -1.0
            if 0 <= seconds <= 1_000_000:
                read[field] = seconds
            else:
                faults.append(Fault(name, f"is {text!r}; expected a number of seconds from 0 to 1,000,000"))
        if faults:
            raise InvalidInput("environment", faults)
        return cls(**read)
