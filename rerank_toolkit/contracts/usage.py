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
Covered = Literal["realtime", "async", "batch", "serverless"]

MOST_DISCOUNT = Decimal("0.64")
"""The largest that AWS announces of Machine Learning Savings Plans (its savings plans page, 2026-02)."""


class SavingsPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Machine Learning Savings Plan: the discount that is yours, or the term whose published rates hold.

    Either way for use that the commitment covers: what is committed is paid used or not, and what goes beyond it is
    paid on demand.
    """

    discount: Decimal | None = None
    """Share of the on-demand price that is saved, such as 0.3."""
    term_years: Literal[1, 3] | None = None
    payment: Literal["no-upfront", "partial-upfront", "all-upfront"] | None = None
    covers: Annotated[tuple[Covered, ...], msgspec.Meta(min_length=1)] = ("realtime", "async", "batch")
    """The kinds of items that it is for. Storage, data and a seller's software are never covered."""

    def __post_init__(self) -> None:
        if (self.discount is None) != (self.term_years is not None and self.payment is not None):
            raise ValueError("a Savings Plan has either a discount, or term_years and payment")
        if self.discount is not None and (self.term_years is not None or self.payment is not None):
            raise ValueError("a Savings Plan with a discount has no term_years and no payment")
        if self.discount is not None and not 0 < self.discount <= MOST_DISCOUNT:
            raise ValueError(f"discount is {self.discount}; expected a share above 0 and up to {MOST_DISCOUNT}")


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
    software_usd_per_hour: Decimal = Decimal(0)
    """What the seller of a Marketplace model asks for an hour of each instance, beside AWS's price."""


class Async(Realtime, frozen=True, kw_only=True, tag="async"):
    pass


class Batch(_Item, frozen=True, kw_only=True, tag="batch"):
    """Batch transform, and other jobs billed by the hour at the same rate."""

    instance: str
    instances: Instances = 1
    hours: Decimal
    software_usd_per_hour: Decimal = Decimal(0)
    """As of an endpoint."""


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
    ephemeral_mb: MemoryMb = 512
    """Of /tmp; the first 512 MB are free."""


class LambdaProvisionedConcurrency(_Item, frozen=True, kw_only=True, tag="lambda-provisioned-concurrency"):
    """Units kept ready, and the processing on them; requests are a `lambda` item of 0 seconds."""

    architecture: Architecture = "x86_64"
    memory_mb: MemoryMb
    units: Instances
    seconds: Decimal
    """That the units were kept ready, each."""
    busy_seconds: Decimal = Decimal(0)
    """Of processing on them, over all requests."""


class Fargate(_Item, frozen=True, kw_only=True, tag="fargate"):
    architecture: Architecture = "x86_64"
    vcpu: Decimal
    memory_gb: Decimal
    tasks: Decimal
    hours: Decimal
    """Of each task."""
    ephemeral_gb: Decimal = Decimal(20)
    """Of each task; the first 20 GB are free."""


class AzureFunctions(_Item, frozen=True, kw_only=True, tag="azure-functions"):
    plan: Literal["consumption", "flex"] = "consumption"
    gb_seconds: Decimal
    executions: Decimal


class AzureContainerApps(_Item, frozen=True, kw_only=True, tag="azure-container-apps"):
    vcpu_seconds: Decimal
    """Of replicas at work."""
    idle_vcpu_seconds: Decimal = Decimal(0)
    """Of replicas kept ready; their memory counts among gib_seconds."""
    gib_seconds: Decimal
    requests: Decimal


class CloudRun(_Item, frozen=True, kw_only=True, tag="cloud-run"):
    vcpu_seconds: Decimal
    gib_seconds: Decimal
    requests: Decimal


class Metered(_Item, frozen=True, kw_only=True, tag="metered"):
    """Anything else that has a rate: `rerank cost prices show --component other` lists services and names."""

    service: str
    name: str
    quantity: Decimal
    """In the unit of the rate."""


Item = (
    Realtime
    | Async
    | Batch
    | Serverless
    | ProvisionedConcurrency
    | Data
    | Storage
    | Lambda
    | LambdaProvisionedConcurrency
    | Fargate
    | AzureFunctions
    | AzureContainerApps
    | CloudRun
    | Metered
)


class Usage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_version: int = 1
    region: str = "us-east-1"
    free_tier: bool = False
    savings_plan: SavingsPlan | None = None
    items: Annotated[list[Item], msgspec.Meta(min_length=1)]
