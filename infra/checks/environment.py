"""The container's environment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment
from rerank_toolkit.contracts.settings import Settings

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_environment(deployment: Deployment, field: str) -> Iterator[Fault]:
    field = f"{field}.environment"
    limits, environment = load_limits().container, deployment.environment
    if len(environment) > limits.environment_entries:
        yield Fault(field, f"has {len(environment)} entries; SageMaker takes {limits.environment_entries}")
    total = sum(len(name.encode()) + len(value.encode()) for name, value in environment.items())
    if total > limits.environment_bytes:
        yield Fault(field, f"has {total:,} bytes; SageMaker takes {limits.environment_bytes:,}")
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            yield Fault(f"{field}.{name}", "is no name of a variable; expected letters, digits and _")
        for what, size in ("name", len(name.encode())), ("value", len(value.encode())):
            if size > limits.environment_value_bytes:
                yield Fault(
                    f"{field}.{name}",
                    f"has a {what} of {size:,} bytes; SageMaker takes {limits.environment_value_bytes:,}",
                )
    try:
        settings = Settings.from_environment(environment)
    except InvalidInput as error:
        yield from (Fault(f"{field}.{fault.field}", fault.message, fault.type) for fault in error.faults)
        return
    longest = load_limits().realtime.timeout_s
    if deployment.mode == "realtime" and settings.time_limit_s > longest:
        yield Fault(
            field,
            f"gives a time limit of {settings.time_limit_s:g} s; SageMaker ends a realtime request after {longest} s",
        )
