"""plan.json: what is to be deployed and what it is expected to cost. The planner writes it, infra renders it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from rerank_toolkit.contracts.manifest import Dtype, Engine

Mode = Literal["realtime", "serverless", "async", "batch", "inference-component"]
StackName = Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z0-9-]{0,99}$")]
Instances = Annotated[int, msgspec.Meta(ge=0)]


class Image(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repository in the account's ECR, with a tag or, better, a digest."""

    repository: str
    tag: str | None = None
    digest: Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")] | None = None

    def __post_init__(self) -> None:
        if (self.tag is None) == (self.digest is None):
            raise ValueError("an image is named by either tag or digest")


class S3Artifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="s3"):
    uri: Annotated[str, msgspec.Meta(pattern="^s3://[^/]+/.+")]


class LocalArtifact(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="local"
):
    """A folder that `rerank package` wrote; its tar.gz beside it is uploaded as an asset."""

    path: str


class ModelPackageArtifact(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="model-package"
):
    """A Marketplace model package, which brings its own image."""

    arn: str


Artifact = S3Artifact | LocalArtifact | ModelPackageArtifact


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Target tracking between the bounds."""

    min_instances: Instances
    max_instances: Instances
    metric: str
    target: float
    scale_in_cooldown_s: int
    scale_out_cooldown_s: int
    formula: str
    """Where the target comes from, in words and numbers."""


class CostLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    unit: str
    quantity: Decimal
    rate: Decimal
    cost: Decimal
    basis: str


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the planner expects; a None is an unknown, not a zero."""

    p95_ms: float | None = None
    documents_per_second: float | None = None
    monthly_cost: Decimal | None = None
    cost_components: list[CostLine] = []
    basis: str


class Deployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    stack: StackName
    model: str
    artifact: Artifact
    image: Image | None = None
    """None only where a model package brings its own."""
    engine: Engine
    dtype: Dtype
    mode: Mode
    instance: str | None = None
    memory_mb: int | None = None
    count: Instances = 1
    concurrency: int | None = None
    scaling: Scaling | None = None
    startup_timeout_s: int = 480
    environment: dict[str, str] = {}
    expected: Expectation


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_version: int = 1
    id: str
    region: str
    price_date: date | None
    """Of the snapshot behind the costs; None where nothing was priced."""
    workload: str
    deployments: list[Deployment]
