"""The container's environment, as it will be: what the plan says over what follows from the mode."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from infra.served import Served, is_package
from infra.settings import container_environment, request_limits
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment
from rerank_toolkit.contracts.settings import Settings

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_environment(deployment: Deployment, served: Served, field: str) -> Iterator[Fault]:
    """`served` is the deployment or one of its variants, which `field` names."""
    at = f"{field}.environment"
    environment = container_environment(deployment, served)
    yield from _check_sizes(environment, at)
    if is_package(served):
        return  # another's container
    try:
        settings = Settings.from_environment(environment)
    except InvalidInput as error:
        for fault in error.faults:
            if fault.field in served.environment:  # what is made of a faulty stack's name is no fault of its own
                yield Fault(f"{at}.{fault.field}", fault.message, fault.type)
        return
    limits = request_limits(deployment.mode)
    if settings.time_limit_s > limits.timeout_s:
        yield Fault(
            at,
            f"gives a time limit of {settings.time_limit_s:g} s; SageMaker ends a request of mode {deployment.mode} "
            f"after {limits.timeout_s} s",
        )
    largest = deployment.largest_request_mb
    if largest is not None and settings.max_body_mb < largest <= limits.payload_mb:
        yield Fault(
            at,
            f"has the container read bodies of up to {settings.max_body_mb:g} MB, but largest_request_mb is "
            f"{largest:g}; raise RERANK_MAX_BODY_MB",
        )


def _check_sizes(environment: Mapping[str, str], field: str) -> Iterator[Fault]:
    limits = load_limits().container
    if len(environment) > limits.environment_entries:
        yield Fault(
            field,
            f"has {len(environment)} entries with those of its mode; SageMaker takes {limits.environment_entries}",
        )
    total = sum(len(name.encode()) + len(value.encode()) for name, value in environment.items())
    if total > limits.environment_bytes:
        yield Fault(field, f"has {total:,} bytes with those of its mode; SageMaker takes {limits.environment_bytes:,}")
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            yield Fault(f"{field}.{name}", "is no name of a variable; expected letters, digits and _")
        for what, size in ("name", len(name.encode())), ("value", len(value.encode())):
            if size > limits.environment_value_bytes:
                yield Fault(
                    f"{field}.{name}",
                    f"has a {what} of {size:,} bytes; SageMaker takes {limits.environment_value_bytes:,}",
                )
