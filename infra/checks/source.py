"""Where a model and its container come from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.image_name import is_repository, is_tag
from infra.served import Served, image_of, is_package
from rerank_toolkit.catalog.instances import UnknownInstance, find_instance
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Image, Mode, ModelPackageArtifact, S3Artifact

_KEY = r"[\w!.'()/=+@:,-]+"
_ARCHIVE = re.compile(rf"s3://[a-z0-9.-]{{3,63}}/{_KEY}\.tar\.gz", re.ASCII)
_PREFIX = re.compile(rf"s3://[a-z0-9.-]{{3,63}}/{_KEY}/", re.ASCII)
_PACKAGE = re.compile(
    r"arn:aws[a-z-]*:sagemaker:(?P<region>[a-z0-9-]+):\d{12}:model-package/[A-Za-z0-9](-*[A-Za-z0-9]){0,62}(/\d{1,9})?"
)

_TAKES_PREFIXES: frozenset[Mode] = frozenset({"realtime", "inference-component"})
"""An archive, all modes take (AWS developer guide, "Deploying uncompressed models")."""

_TAKES_PACKAGES: frozenset[Mode] = frozenset({"realtime", "batch"})
"""AWS Marketplace's guide for sellers, "Service restrictions and quotas"."""

_OUR_TAGS = re.compile(r"(?P<kind>cpu|gpu)(?P<arm>-arm64)?-\d.*")
"""The tags of this repository's own images: docs/images.md."""


def check_artifact(served: Served, mode: Mode, region: str, field: str) -> Iterator[Fault]:
    match served.artifact:
        case ModelPackageArtifact(arn=arn):
            yield from _check_package(arn, mode, region, f"{field}.artifact")
        case S3Artifact() as artifact:
            yield from _check_uri(artifact.uri, mode, f"{field}.artifact.uri")
            if artifact.key_arn:
                yield from _check_key(artifact.key_arn, region, f"{field}.artifact.key_arn")


def _check_uri(uri: str, mode: Mode, field: str) -> Iterator[Fault]:
    if _PREFIX.fullmatch(uri):
        if mode not in _TAKES_PREFIXES:
            yield Fault(
                field,
                f"is {uri!r}, files as they are, of which SageMaker makes no {mode} endpoint or job; "
                "expected one archive, s3://BUCKET/KEY.tar.gz",
            )
    elif not _ARCHIVE.fullmatch(uri):
        # A * in it would be a wildcard in the policy that lets it be fetched.
        yield Fault(
            field,
            f"is {uri!r}; expected one archive, s3://BUCKET/KEY.tar.gz, or files under s3://BUCKET/PREFIX/, "
            "without wildcards or spaces",
        )


def _check_key(arn: str, region: str, field: str) -> Iterator[Fault]:
    """SageMaker reads buckets of its own region (ModelDataUrl in its service model), and S3 takes keys of the
    bucket's."""
    if (of := arn.split(":")[3]) != region:
        yield Fault(
            field,
            f"is in {of}; artifacts are read from buckets in {region}, the plan's region, which take keys from there "
            "alone: copy the artifact",
        )


def _check_package(arn: str, mode: Mode, region: str, field: str) -> Iterator[Fault]:
    if mode not in _TAKES_PACKAGES:
        known = " or ".join(sorted(_TAKES_PACKAGES))
        yield Fault(field, f"is a Marketplace package, which SageMaker runs in mode {known}, not {mode}")
    named = _PACKAGE.fullmatch(arn)
    if not named:
        yield Fault(
            f"{field}.arn",
            f"is {arn!r}; expected arn:aws:sagemaker:REGION:ACCOUNT:model-package/NAME, as the product's page gives it",
        )
    elif named["region"] != region:
        yield Fault(
            f"{field}.arn", f"is in {named['region']}; the plan is for {region}, where the product has another ARN"
        )


def check_image(served: Served, deployment: Deployment, field: str, *, given: bool) -> Iterator[Fault]:
    """given: an image from elsewhere takes the place of the plan's."""
    field = f"{field}.image"
    if is_package(served):
        if served.image is not None:
            yield Fault(field, "is set, but a Marketplace package brings its own; leave it out")
        return
    image = image_of(served, deployment)
    if image is None:
        if not given:
            yield Fault(field, "is missing; expected the repository and the tag or digest of the container")
        return
    if served.image is not None:
        yield from _check_name(served.image, field)
    if not given:
        yield from _check_machine(image, served.instance, field)


def _check_name(image: Image, field: str) -> Iterator[Fault]:
    if not is_repository(image.repository):
        yield Fault(
            f"{field}.repository",
            f"is {image.repository!r}; expected the name of a repository in your own ECR, without a registry's address",
        )
    if image.tag is not None and not is_tag(image.tag):
        yield Fault(f"{field}.tag", f"is {image.tag!r}; expected up to 128 letters, digits, and . _ -")


def _check_machine(image: Image, instance: str | None, field: str) -> Iterator[Fault]:
    """Of an image whose tag says what machines it was made for."""
    made_for = _OUR_TAGS.fullmatch(image.tag or "")
    try:
        machine = find_instance(instance) if instance else None
    except UnknownInstance:
        return  # a fault of its own
    kind = machine.kind if machine else "cpu"
    arm = machine is not None and machine.architecture == "arm64"
    if made_for and kind != "accelerator" and (made_for["kind"], bool(made_for["arm"])) != (kind, arm):
        place = f"{instance} has {'an Arm' if arm else 'an x86'} CPU{' and a GPU' if kind == 'gpu' else ''}"
        expected = f"{kind}{'-arm64' if arm else ''}-…"
        yield Fault(
            f"{field}.tag",
            f"is {image.tag!r}, but {place if machine else 'serverless has x86 CPUs alone'}; expected {expected}",
        )
