"""The container image of an endpoint: one in the account's ECR, or built from this repository."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.options import Options, repository_root
from rerank_toolkit.catalog.instances import find_instance
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Image

DOCKERFILE = "inference_container/Dockerfile"

_CONTEXT = (
    *("LICENSE", "README.md", "pyproject.toml", "inference_container"),
    *(f"rerank_toolkit/{name}" for name in ("__init__.py", "py.typed", "scheduling.py", "catalog", "contracts")),
)
"""What the Dockerfile copies: a change elsewhere must not build the image anew."""


@dataclass(frozen=True)
class ContainerImage:
    uri: str
    repository_arn: str

    @classmethod
    def of(cls, scope: Construct, deployment: Deployment, options: Options) -> ContainerImage:
        """The image that the options name, else the plan's."""
        if options.build:
            return _built(scope, deployment)
        image = options.image or deployment.image
        if image is None:
            raise TypeError(f"{deployment.stack} has no image, which a checked plan has. This is a bug.")
        return _in_ecr(scope, image)

    def pull_statements(self) -> list[iam.PolicyStatement]:
        """What a role needs to pull the image."""
        return [
            iam.PolicyStatement(
                actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                resources=[self.repository_arn],
            ),
            # A token is the registry's, not a repository's: IAM knows no narrower resource.
            iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
        ]


def _in_ecr(scope: Construct, image: Image) -> ContainerImage:
    repository = ecr.Repository.from_repository_name(scope, "Repository", image.repository)
    return ContainerImage(
        uri=repository.repository_uri_for_tag_or_digest(image.tag or image.digest),
        repository_arn=repository.repository_arn,
    )


def _built(scope: Construct, deployment: Deployment) -> ContainerImage:
    root = repository_root()
    if not (root / DOCKERFILE).exists():
        raise InvalidInput(
            "cdk context (-c name=value)",
            [
                Fault(
                    "build",
                    f"is docker, but {root / DOCKERFILE} does not exist; run cdk in the repository, or name an image",
                )
            ],
        )
    instance = find_instance(deployment.instance or "")
    arm = instance.architecture == "arm64"
    asset = ecr_assets.DockerImageAsset(
        scope,
        "Image",
        directory=str(root),
        file=DOCKERFILE,
        target=instance.kind,
        # One plain image: SageMaker takes no index with attestations beside it.
        outputs=["type=docker"],
        platform=ecr_assets.Platform.LINUX_ARM64 if arm else ecr_assets.Platform.LINUX_AMD64,
        exclude=["*", *(f"!{name}" for name in _CONTEXT), "**/__pycache__"],
        ignore_mode=cdk.IgnoreMode.DOCKER,
    )
    return ContainerImage(uri=asset.image_uri, repository_arn=asset.repository.repository_arn)
