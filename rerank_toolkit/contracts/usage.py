"""usage.json: what was or will be used, for `rerank cost estimate`. `kind` decides an item's fields.

Quantities are Decimal: a bill must not depend on binary fractions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

Instances = Annotated[int, msgspec.Meta(ge=0)]
MemoryMb = Annotated[int, msgspec.Meta(gt=0)]
Architecture = Literal["x86_64", "arm64"]


class _Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    def __post_init__(self) -> None:
        negative = [
            f"{name} is {value}"
            for name in self.__struct_fields__
            if isinstance(value := getattr(self, name), Decimal) and not (value.is_finite() and value >= 0)
        ]
        if negative:
            raise ValueError(f"{', '.join(negative)}; a quantity is a finite number of at least 0")


class Realtime(_Item, frozen=True, kw_only=True, tag="realtime"):
    instance: str
    instances: Instances = 1
    hours: Decimal
    """Of each instance; 730 is a month."""
    storage_gb_month: Decimal = Decimal(0)
    """The total over all instances."""


class Async(Realtime, frozen=True, kw_only=True, tag="async"):
    pass


class Batch(_Item, frozen=True, kw_only=True, tag="batch"):
    """Batch transform, and other jobs billed by the hour at the same rate."""

    instance: str
    instances: Instances = 1
    hours: Decimal


class Serverless(_Item, frozen=True, kw_only=True, tag="serverless"):
    memory_mb: MemoryMb
    seconds: Decimal
    """Of processing, over all requests."""


class ProvisionedConcurrency(_Item, frozen=True, kw_only=True, tag="provisioned-concurrency"):
    memory_mb: MemoryMb
    units: Instances
    seconds: Decimal
    """That the units were kept ready, each."""
    busy_seconds: Decimal = Decimal(0)
    """Of processing on provisioned units, over all requests."""


class Data(_Item, frozen=True, kw_only=True, tag="data"):
    gb_in: Decimal = Decimal(0)
    gb_out: Decimal = Decimal(0)


class Storage(_Item, frozen=True, kw_only=True, tag="storage"):
    gb_month: Decimal


class Lambda(_Item, frozen=True, kw_only=True, tag="lambda"):
    architecture: Architecture = "x86_64"
    memory_mb: MemoryMb
    requests: Decimal
    seconds_per_request: Decimal


class Fargate(_Item, frozen=True, kw_only=True, tag="fargate"):
    architecture: Architecture = "x86_64"
    vcpu: Decimal
    memory_gb: Decimal
    tasks: Decimal
    hours: Decimal
    """Of each task."""


class AzureFunctions(_Item, frozen=True, kw_only=True, tag="azure-functions"):
    gb_seconds: Decimal
    executions: Decimal


class AzureContainerApps(_Item, frozen=True, kw_only=True, tag="azure-container-apps"):
    vcpu_seconds: Decimal
    gib_seconds: Decimal
    requests: Decimal


class CloudRun(_Item, frozen=True, kw_only=True, tag="cloud-run"):
    vcpu_seconds: Decimal
    gib_seconds: Decimal
    requests: Decimal


Item = (
    Realtime
    | Async
    | Batch
    | Serverless
    | ProvisionedConcurrency
    | Data
    | Storage
    | Lambda
    | Fargate
    | AzureFunctions
    | AzureContainerApps
    | CloudRun
)


class Usage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_version: int = 1
    region: str = "us-east-1"
    free_tier: bool = False
    items: Annotated[list[Item], msgspec.Meta(min_length=1)]
