"""What `cdk -c name=value` can say: plan, image, build, artifacts, scaling."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Self, get_args

import msgspec
from constructs import Node

from infra.image_name import parse_image
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Image, LocalArtifact

PACKAGE = Path(__file__).parent
DEFAULT_PLAN = PACKAGE / "default_plan.json"


Builder = Literal["docker", "podman", "buildah"]
BUILDERS: tuple[Builder, ...] = get_args(Builder)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the plan is to be rendered. The plan says what, these say from where."""

    plan: Path = DEFAULT_PLAN
    image: Image | None = None
    """In place of every deployment's image."""
    build: Builder | None = None
    """Build the image from this repository with that program, in place of every deployment's image."""
    images: bool = False
    """Have the stack of the image repository too, with what builds images in the account."""
    artifacts: Path | None = None
    """The folder that holds the artifacts, in place of the one in the plan."""
    scaling: bool = True
    """False registers nothing for scaling: a fleet stays as it is, and can be given another instance type."""

    @classmethod
    def from_context(cls, node: Node, variables: Mapping[str, str] = os.environ) -> Self:
        """Raises InvalidInput with every malformed value."""
        faults: list[Fault] = []
        plan, image, build, artifacts, scaling = (
            str(value) if (value := node.try_get_context(name)) is not None else None
            for name in ("plan", "image", "build", "artifacts", "scaling")
        )
        named = parse_image(image) if image is not None else None
        if image is not None and named is None:
            faults.append(
                Fault(
                    "image",
                    f"is {image!r}; expected REPOSITORY:TAG or REPOSITORY@sha256:…, a repository in your own ECR",
                )
            )
        builder = next((name for name in BUILDERS if name == build), None)
        if build is not None and builder is None and build != "codebuild":
            faults.append(Fault("build", f"is {build!r}; expected {', '.join(BUILDERS)} or codebuild"))
        if image is not None and builder:
            faults.append(Fault("build", "can't be given together with image; leave one out"))
        if builder:
            faults += _unset(builder, variables)
        if scaling not in (None, "off"):
            faults.append(Fault("scaling", f"is {scaling!r}; expected off, or nothing to do as the plan says"))
        if faults:
            raise InvalidInput("cdk context (-c name=value)", faults)
        return cls(
            plan=Path(plan) if plan else DEFAULT_PLAN,
            image=named,
            build=builder,
            images=build == "codebuild",
            artifacts=Path(artifacts) if artifacts else None,
            scaling=scaling != "off",
        )

    def locate(self, artifact: LocalArtifact) -> Path:
        """The artifact's folder: its path is relative to the repository's root, or moved under `artifacts`."""
        path = Path(artifact.path)
        if self.artifacts and not path.is_absolute():
            return (self.artifacts / path.name).resolve()
        return (repository_root() / path).resolve()


def _unset(builder: Builder, variables: Mapping[str, str]) -> Iterator[Fault]:
    """Variables without which the `cdk` command runs another program, or that one makes what SageMaker refuses."""
    wanted = {}
    if builder != "docker":
        # Their own format is OCI's, whose manifests SageMaker doesn't take
        # (https://github.com/aws/amazon-sagemaker-feedback/issues/180).
        wanted = {"CDK_DOCKER": builder, "BUILDAH_FORMAT": "docker"}
    for name, value in wanted.items():
        if Path(found := variables.get(name, "")).name != value:
            yield Fault("build", f"is {builder}, but the variable {name} is {found!r}; expected {value}")


def repository_root() -> Path:
    """The checkout that this package is part of; where it was installed without one, the working directory."""
    root = PACKAGE.parent
    return root if (root / "cdk.json").exists() else Path.cwd()
