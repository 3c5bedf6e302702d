"""What must hold for a plan to be deployable, beyond its being well-formed.

Each check yields faults instead of raising, so that a plan's author sees all of them at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from infra.foundation import FOUNDATION
from infra.image_name import is_repository, is_tag
from infra.scaling import METRICS
from rerank_toolkit.catalog.instances import (
    BF16_INSTRUCTION_SETS,
    GPUS_WITHOUT_BF16,
    VNNI_INSTRUCTION_SETS,
    Instance,
    UnknownInstance,
    find_instance,
    load_instances,
)
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.catalog.models import UnknownModel, find_model
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Image, ModelPackageArtifact, Plan, S3Artifact, Scaling
from rerank_toolkit.contracts.settings import Settings

MOST_STACK_CHARACTERS = 63
"""An endpoint is called like its stack, and SageMaker's names end there."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d")
_TAG_VALUE = re.compile(r"[\w .:/=+@-]{1,256}")
_S3_URI = re.compile(r"s3://[a-z0-9.-]{3,63}/[\w!.'()/=+@:,-]+\.tar\.gz", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_plan(plan: Plan, *, image_given: bool = False) -> list[Fault]:
    """Every reason why the plan can't be deployed; empty for a sound one.

    image_given: an image from elsewhere takes the place of the plan's, which may then be without.
    """
    return [
        *_check_header(plan),
        *_check_stacks(plan),
        *(
            fault
            for index, deployment in enumerate(plan.deployments)
            for fault in (
                *_check_deployment(deployment, plan.region, f"deployments[{index}]"),
                *_check_image(deployment.image, f"deployments[{index}].image", required=not image_given),
            )
        ),
    ]


def _check_header(plan: Plan) -> Iterator[Fault]:
    if not _TAG_VALUE.fullmatch(plan.id):
        yield Fault(
            "id", f"is {plan.id!r}; it becomes a tag, so expected 1 to 256 letters, digits, spaces or _ . : / = + @ -"
        )
    if not _REGION.fullmatch(plan.region):
        yield Fault("region", f"is {plan.region!r}; expected a region such as us-east-1")
    if not plan.deployments:
        yield Fault("deployments", "is empty; there is nothing to deploy")


def _check_stacks(plan: Plan) -> Iterator[Fault]:
    times = Counter(deployment.stack for deployment in plan.deployments)
    for index, deployment in enumerate(plan.deployments):
        field, name = f"deployments[{index}].stack", deployment.stack
        if name == FOUNDATION:
            yield Fault(field, f"is {name!r}, the name of the stack that all endpoints share; take another")
        if times[name] > 1:
            yield Fault(field, f"is {name!r}, which {times[name]} deployments claim; each needs its own")
        if len(name) > MOST_STACK_CHARACTERS or name.endswith("-"):
            yield Fault(
                field,
                f"is {name!r}; the endpoint is called like it, so expected at most {MOST_STACK_CHARACTERS} characters "
                "and a letter or digit at the end",
            )


def _check_deployment(deployment: Deployment, region: str, field: str) -> Iterator[Fault]:
    try:
        find_model(deployment.model)
    except UnknownModel as error:
        yield Fault(f"{field}.model", str(error))
    yield from _check_source(deployment, field)
    yield from _check_environment(deployment, field)
    if deployment.mode != "realtime":
        yield Fault(f"{field}.mode", f"is {deployment.mode!r}; this version deploys realtime only")
        return
    yield from _check_realtime(deployment, field)
    yield from _check_instance(deployment, region, field)
    if deployment.scaling:
        yield from _check_scaling(deployment.scaling, deployment.count, f"{field}.scaling")


def _check_source(deployment: Deployment, field: str) -> Iterator[Fault]:
    artifact = deployment.artifact
    if isinstance(artifact, ModelPackageArtifact):
        yield Fault(
            f"{field}.artifact", "is a Marketplace model package; this version deploys s3 and local artifacts only"
        )
    if isinstance(artifact, S3Artifact) and not _S3_URI.fullmatch(artifact.uri):
        # Exactly one object: a * in it would be a wildcard in the execution role.
        yield Fault(
            f"{field}.artifact.uri",
            f"is {artifact.uri!r}; expected one archive, s3://BUCKET/KEY.tar.gz, its key without wildcards or spaces",
        )


def _check_image(image: Image | None, field: str, *, required: bool) -> Iterator[Fault]:
    if image is None:
        if required:
            yield Fault(field, "is missing; expected the repository and the tag or digest of the container")
        return
    if not is_repository(image.repository):
        yield Fault(
            f"{field}.repository",
            f"is {image.repository!r}; expected the name of a repository in your own ECR, without a registry's address",
        )
    if image.tag is not None and not is_tag(image.tag):
        yield Fault(f"{field}.tag", f"is {image.tag!r}; expected up to 128 letters, digits, and . _ -")


def _check_environment(deployment: Deployment, field: str) -> Iterator[Fault]:
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


def _check_realtime(deployment: Deployment, field: str) -> Iterator[Fault]:
    for name in ("memory_mb", "concurrency"):
        if getattr(deployment, name) is not None:
            yield Fault(
                f"{field}.{name}", f"is {getattr(deployment, name)}; a realtime endpoint has none, leave it out"
            )
    if deployment.count < 1:
        yield Fault(f"{field}.count", f"is {deployment.count}; a realtime endpoint keeps at least 1 instance")
    shortest, longest = load_limits().container.startup_timeout_s
    if not shortest <= deployment.startup_timeout_s <= longest:
        yield Fault(
            f"{field}.startup_timeout_s",
            f"is {deployment.startup_timeout_s}; SageMaker takes {shortest} to {longest} s",
        )


def _check_instance(deployment: Deployment, region: str, field: str) -> Iterator[Fault]:
    if deployment.instance is None:
        yield Fault(
            f"{field}.instance", "is missing; a realtime endpoint runs on an instance type such as ml.c7i.xlarge"
        )
        return
    try:
        instance = find_instance(deployment.instance)
    except UnknownInstance as error:
        yield Fault(f"{field}.instance", str(error))
        return
    if not instance.endpoint:
        yield Fault(f"{field}.instance", f"is {instance.instance}, which SageMaker does not take for endpoints")
    if region in _known_regions() and region not in instance.regions:
        offered = ", ".join(instance.regions) or "in none that we know"
        yield Fault(
            f"{field}.instance", f"is {instance.instance}, which is not offered in {region}; offered in {offered}"
        )
    yield from _check_precision(deployment, instance, field)


def _known_regions() -> set[str]:
    return {region for instance in load_instances().values() for region in instance.regions}


def _check_precision(deployment: Deployment, instance: Instance, field: str) -> Iterator[Fault]:
    name, engine, dtype = instance.instance, deployment.engine, deployment.dtype
    if instance.kind == "accelerator":
        yield Fault(
            f"{field}.instance", f"is {name} with {instance.accelerator}, on which no engine of this version runs"
        )
        return
    if engine == "openvino" and instance.kind == "gpu":
        yield Fault(f"{field}.engine", f"is openvino, which leaves the GPU of {name} idle; expected torch")
    if engine == "torch" and dtype == "int8":
        yield Fault(
            f"{field}.dtype",
            "is int8, which engine torch does not run; expected fp32, bf16 or fp16, or engine openvino",
        )
    if instance.kind == "gpu":
        if dtype == "bf16" and instance.gpu in GPUS_WITHOUT_BF16:
            yield Fault(
                f"{field}.dtype", f"is bf16, which the {instance.gpu} of {name} does not compute; expected fp16 or fp32"
            )
    elif engine == "torch" and dtype == "bf16" and instance.instruction_set not in BF16_INSTRUCTION_SETS:
        # openvino computes in fp32 there, from the same weights.
        yield Fault(
            f"{field}.dtype",
            f"is bf16, but {name} is sure to have {instance.instruction_set} only, which emulates it; expected fp32",
        )
    elif engine == "openvino" and dtype == "int8" and instance.instruction_set not in VNNI_INSTRUCTION_SETS:
        yield Fault(
            f"{field}.dtype",
            f"is int8, but {name} is sure to have {instance.instruction_set} only, without VNNI; expected bf16",
        )
    elif dtype == "fp16" and instance.architecture != "arm64":
        yield Fault(
            f"{field}.dtype", f"is fp16, which the x86 CPU of {name} emulates; expected fp32, or bf16 where it has it"
        )


def _check_scaling(scaling: Scaling, count: int, field: str) -> Iterator[Fault]:
    low, high = scaling.min_instances, scaling.max_instances
    if low < 1:
        yield Fault(f"{field}.min_instances", f"is {low}; a realtime endpoint keeps at least 1 instance")
    if low > high:
        yield Fault(f"{field}.min_instances", f"is {low}, above max_instances, which is {high}")
    elif not low <= count <= high:
        yield Fault(field, f"ranges from {low} to {high} instances, but count starts with {count}")
    if scaling.metric not in METRICS:
        yield Fault(f"{field}.metric", f"is {scaling.metric!r}; a realtime endpoint publishes {', '.join(METRICS)}")
    if scaling.target <= 0:
        yield Fault(f"{field}.target", f"is {scaling.target:g}; expected more than 0")
    for name in ("scale_in_cooldown_s", "scale_out_cooldown_s"):
        if getattr(scaling, name) < 0:
            yield Fault(f"{field}.{name}", f"is {getattr(scaling, name)}; expected 0 or more seconds")
