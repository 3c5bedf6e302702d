"""Which fields of a deployment say something in its mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Mode

_OPTIONAL: Mapping[str, object] = {
    "instance": None,
    "memory_mb": None,
    "concurrency": None,
    "provisioned_concurrency": None,
    "count": 1,
    "copies_per_instance": 1,
    "weight": 1.0,
    "variants": [],
}
"""Fields of one mode or another, as they are where nothing is said."""

_SAID: Mapping[Mode, frozenset[str]] = {
    "realtime": frozenset({"instance", "count", "weight", "variants"}),
    "serverless": frozenset({"memory_mb", "concurrency", "provisioned_concurrency"}),
    "async": frozenset({"instance", "count", "concurrency"}),
    "batch": frozenset({"instance", "count", "concurrency"}),
    "inference-component": frozenset({"instance", "count", "copies_per_instance", "memory_mb"}),
}


def check_fields(deployment: Deployment, field: str) -> Iterator[Fault]:
    """What would be left aside must not be taken for said."""
    for name, unsaid in _OPTIONAL.items():
        value = getattr(deployment, name)
        if value == unsaid or name in _SAID[deployment.mode]:
            continue
        shown = f"has {len(value)}" if isinstance(value, list) else f"is {value}"
        yield Fault(f"{field}.{name}", f"{shown}; mode {deployment.mode} has none, leave it out")
