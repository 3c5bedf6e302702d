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
    key_arn: Annotated[str, msgspec.Meta(pattern=r"^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[\w-]+$")] | None = None
    """Of the KMS key that it is encrypted under, if it isn't S3's own."""


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


class ScheduledBounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From a time of the week on, the bounds between which target tracking moves."""

    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9-]{1,40}$")]
    schedule: str
    """A time as Application Auto Scaling takes it: cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR)."""
    timezone: str = "Etc/UTC"
    min_instances: Instances
    max_instances: Instances


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Target tracking between the bounds.

    What is counted are instances; of a serverless endpoint units of provisioned concurrency, and of an inference
    component its copies.
    """

    min_instances: Instances
    max_instances: Instances
    metric: str
    """As AWS publishes it for that kind of endpoint."""
    target: float
    scale_in_cooldown_s: int
    scale_out_cooldown_s: int
    scale_in: bool = True
    """Without it the fleet only grows."""
    schedule: list[ScheduledBounds] = []
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
    memory_mib: float | None = None
    """Of the server at its peak."""
    start_s: float | None = None
    """From the container's start to its first answer."""
    monthly_cost: Decimal | None = None
    cost_components: list[CostLine] = []
    basis: str


class Rollout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an update reaches a standing endpoint: new instances beside the old, which go on answering until it is over.

    If an alarm of the endpoint rings meanwhile, all goes back to the old ones.
    """

    kind: Literal["all-at-once", "canary", "linear", "rolling"]
    """All traffic at once; a part and then the rest; part by part; or, where there is no room for two fleets, the
    instances themselves part by part."""
    percent: Annotated[int, msgspec.Meta(ge=1, le=50)] = 10
    """Of the instances, in one step; nothing to all-at-once."""
    wait_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 300
    """After each step, for the alarms to ring."""


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A further model behind the same real-time endpoint, on instances of its own.

    Either it gets its share of the requests, or it is a shadow: gets copies, and its answers reach nobody.
    """

    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$")]
    model: str
    artifact: Artifact
    image: Image | None = None
    engine: Engine
    dtype: Dtype
    instance: str
    count: Instances = 1
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    """Its share is its weight divided by all weights; of a shadow, by the weight of what it shadows."""
    shadow: bool = False
    scaling: Scaling | None = None
    startup_timeout_s: int = 480
    environment: dict[str, str] = {}
    expected: Expectation


class Deployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stack: an endpoint, or the job that scores a file."""

    stack: StackName
    model: str
    artifact: Artifact
    image: Image | None = None
    """None only where a model package brings its own."""
    engine: Engine
    dtype: Dtype
    mode: Mode
    instance: str | None = None
    """None for serverless alone."""
    memory_mb: int | None = None
    """Of a serverless endpoint; of one copy of an inference component."""
    count: Instances = 1
    """Instances, or copies of an inference component, to begin with."""
    copies_per_instance: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Of an inference component; they share its cores or GPUs equally."""
    concurrency: int | None = None
    """Of serverless, requests at once at most; of async and batch, requests that an instance is given at once."""
    provisioned_concurrency: int | None = None
    """Of those, how many are kept warm, and billed."""
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    """Beside `variants`."""
    variants: list[Variant] = []
    scaling: Scaling | None = None
    rollout: Rollout | None = None
    """None leaves it to infra: a canary where there are instances enough."""
    largest_request_mb: float | None = None
    startup_timeout_s: int = 480
    environment: dict[str, str] = {}
    expected: Expectation


class NewNetwork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="vpc", tag="new"):
    """A VPC of our own without a way to the internet; endpoints reach the AWS services that they need."""

    zones: Annotated[int, msgspec.Meta(ge=2, le=3)] = 2


class ExistingNetwork(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="vpc", tag="existing"
):
    subnets: Annotated[list[str], msgspec.Meta(min_length=1, max_length=16)]
    security_groups: Annotated[list[str], msgspec.Meta(min_length=1, max_length=5)]


Network = NewNetwork | ExistingNetwork


class Operations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told, and what is kept for how long."""

    notify: list[str] = []
    """E-mail addresses that alarms and the budget write to; each must be confirmed once."""
    monthly_budget: Decimal | None = None
    """Dollars that everything tagged as ours may cost; None sets no budget."""
    runbook: str = "docs/runbook.md"
    """What alarms link to; each has its section there."""
    log_retention_days: int = 30
    data_retention_days: int = 7
    """Requests and answers of asynchronous endpoints and of jobs, in S3."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_version: int = 1
    id: str
    region: str
    price_date: date | None
    """Of the snapshot behind the costs; None where nothing was priced."""
    workload: str
    network: Network | None = None
    """None is SageMaker's own; the containers reach nothing in either case."""
    operations: Operations = Operations()
    deployments: list[Deployment]
