"""The container image of an endpoint: one in the account's ECR, or built from this repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.options import Builder, Options, repository_root
from rerank_toolkit.catalog.instances import find_instance
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Image

DOCKERFILE = "inference_container/Dockerfile"

_COPIED = (
    *("LICENSE", "README.md", "pyproject.toml", "inference_container"),
    *(f"rerank_toolkit/{name}" for name in ("__init__.py", "py.typed", "scheduling", "catalog", "contracts")),
)

LEFT_OUT = ["*", *(f"!{name}" for name in _COPIED), "**/__pycache__"]
"""Of the build's context, in .dockerignore's words: all but what the Dockerfile copies, for a change elsewhere must not
build the image anew."""


@dataclass(frozen=True)
class ContainerImage:
    uri: str
    repository_arn: str

    @classmethod
    def of(cls, scope: Construct, planned: Image | None, instance: str | None, options: Options) -> ContainerImage:
        """The image that the options name, else the planned one.

        instance: the type that it will run on, for which it may have to be built; None for serverless.
        """
        if options.build:
            return _built(scope, instance, options.build)
        image = options.image or planned
        if image is None:
            raise TypeError(f"{scope.node.path} has no image, which a checked plan has. This is a bug.")
        return _in_ecr(scope, image)

    def pull_statements(self) -> list[iam.PolicyStatement]:
        """What a role needs to pull the image."""
        return [
            iam.PolicyStatement(
                actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                resources=[self.repository_arn],
            ),
            log_in(),
        ]


def log_in() -> iam.PolicyStatement:
    """To the registry, whose token it is and no repository's: IAM knows no narrower resource."""
    return iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"])


def _in_ecr(scope: Construct, image: Image) -> ContainerImage:
    repository = ecr.Repository.from_repository_name(scope, "Repository", image.repository)
    return ContainerImage(
        uri=repository.repository_uri_for_tag_or_digest(image.tag or image.digest),
        repository_arn=repository.repository_arn,
    )


def _built(scope: Construct, instance: str | None, builder: Builder) -> ContainerImage:
    machine = find_instance(instance) if instance else None  # serverless has x86 CPUs
    arm = machine is not None and machine.architecture == "arm64"
    asset = ecr_assets.DockerImageAsset(
        scope,
        "Image",
        directory=str(checkout()),
        file=DOCKERFILE,
        target=machine.kind if machine else "cpu",
        # Docker's own manifest, not OCI's, and no index of several: SageMaker takes nothing else. The others take this
        # for the name of a file; a variable tells them the format.
        outputs=["type=docker"] if builder == "docker" else None,
        platform=ecr_assets.Platform.LINUX_ARM64 if arm else ecr_assets.Platform.LINUX_AMD64,
        exclude=LEFT_OUT,
        ignore_mode=cdk.IgnoreMode.DOCKER,
    )
    return ContainerImage(uri=asset.image_uri, repository_arn=asset.repository.repository_arn)


def checkout() -> Path:
    """The folder that images are built from; raises InvalidInput where there is only an installed package."""
    root = repository_root()
    if not (root / DOCKERFILE).exists():
        how = f"asks for images from source, but {root / DOCKERFILE} does not exist; run cdk in the repository"
        raise InvalidInput("cdk context (-c name=value)", [Fault("build", f"{how}, or name an image")])
    return root
