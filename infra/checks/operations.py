"""Who is told, and what is kept for how long."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from infra.budget import MOST_ADDRESSES
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Operations

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""Those that CloudWatch Logs takes, by CloudFormation's schema of a log group."""

MOST_RUNBOOK_CHARACTERS = 400
"""An alarm's description takes 1,024 in all, what it means included."""

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+", re.ASCII)
_RUNBOOK = re.compile(r"[!-~]+")


def check_operations(operations: Operations) -> Iterator[Fault]:
    yield from _check_notify(operations)
    if operations.log_retention_days not in LOG_RETENTION_DAYS:
        known = ", ".join(map(str, LOG_RETENTION_DAYS))
        yield Fault(
            "operations.log_retention_days", f"is {operations.log_retention_days}; CloudWatch Logs takes {known}"
        )
    if operations.data_retention_days < 1:
        yield Fault("operations.data_retention_days", f"is {operations.data_retention_days}; S3 takes 1 or more")
    if not _RUNBOOK.fullmatch(operations.runbook) or "#" in operations.runbook:
        yield Fault(
            "operations.runbook",
            f"is {operations.runbook!r}; sections are appended as #NAME, so expected an address or a path without "
            "spaces and without #",
        )
    elif len(operations.runbook) > MOST_RUNBOOK_CHARACTERS:
        yield Fault(
            "operations.runbook",
            f"has {len(operations.runbook)} characters; it goes into each alarm's description, expected at most "
            f"{MOST_RUNBOOK_CHARACTERS}",
        )


def _check_notify(operations: Operations) -> Iterator[Fault]:
    times = Counter(address.lower() for address in operations.notify)
    for index, address in enumerate(operations.notify):
        if not _ADDRESS.fullmatch(address):
            yield Fault(f"operations.notify[{index}]", f"is {address!r}; expected a mail address")
        elif times[address.lower()] > 1:
            yield Fault(f"operations.notify[{index}]", f"is {address!r}, which is there more than once")
    budget = operations.monthly_budget
    if budget is None:
        return
    if not budget.is_finite() or budget <= 0:
        yield Fault("operations.monthly_budget", f"is {budget}; expected more than 0 dollars")
    if not operations.notify:
        yield Fault("operations.monthly_budget", "is set, but nobody is told: notify is empty")
    elif len(operations.notify) > MOST_ADDRESSES:
        yield Fault(
            "operations.notify",
            f"has {len(operations.notify)} addresses; a budget writes to {MOST_ADDRESSES} at most: take a list's",
        )
