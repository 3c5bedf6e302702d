"""A project that builds images in the account, of the source that is deployed with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.acknowledgements import INLINE_POLICY, acknowledge, in_packs
from infra.execution_role import account_service, write_logs
from infra.image import log_in
from infra.image_repository import REPOSITORY
from rerank_toolkit import __version__

BUILDSPEC = Path(__file__).with_name("buildspec.json")


@dataclass(frozen=True)
class Machine:
    """A kind of machine that images are built on: each builds for its own architecture."""

    name: str
    type: str
    image: str
    targets: tuple[str, ...]
    """Stages of the Dockerfile."""
    suffix: str
    """Of a tag, between target and version."""


MACHINES = (
    Machine("X86", "LINUX_CONTAINER", "aws/codebuild/amazonlinux-x86_64-standard:6.0", ("cpu", "gpu"), ""),
    Machine("Arm", "ARM_CONTAINER", "aws/codebuild/amazonlinux-aarch64-standard:4.0", ("cpu",), "-arm64"),
)


def build_role(scope: cdk.Stack, source: s3_assets.Asset, repository_arn: str, log_group_arn: str) -> iam.Role:
    archive = f"arn:{scope.partition}:s3:::{source.s3_bucket_name}/{source.s3_object_key}"
    statements = [
        iam.PolicyStatement(actions=["s3:GetObject", "s3:GetObjectVersion"], resources=[archive]),
        iam.PolicyStatement(
            actions=[
                *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload"),
                *("ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage"),
                "ecr:UploadLayerPart",
            ],
            resources=[repository_arn],
        ),
        log_in(),
        write_logs([log_group_arn]),
    ]
    role = iam.Role(
        scope,
        "BuildRole",
        description=f"CodeBuild builds and pushes {REPOSITORY} in it",
        assumed_by=account_service(scope, "codebuild"),
        inline_policies={"build": iam.PolicyDocument(statements=statements)},
    )
    acknowledge(
        role,
        {
            "AwsSolutions-IAM5[Resource::*]": "ecr:GetAuthorizationToken knows no resources",
            **INLINE_POLICY,
        },
    )
    return role


def build_project(
    scope: Construct,
    machine: Machine,
    *,
    source: s3_assets.Asset,
    role: iam.Role,
    log_group_name: str,
    repository: ecr.CfnRepository,
) -> codebuild.CfnProject:
    variable = codebuild.CfnProject.EnvironmentVariableProperty
    project = codebuild.CfnProject(
        scope,
        machine.name,
        description=f"Builds {REPOSITORY} for {machine.name}: {', '.join(machine.targets)}",
        service_role=role.role_arn,
        source=codebuild.CfnProject.SourceProperty(
            type="S3",
            location=f"{source.s3_bucket_name}/{source.s3_object_key}",
            build_spec=BUILDSPEC.read_text(encoding="utf-8"),
        ),
        artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
        environment=codebuild.CfnProject.EnvironmentProperty(
            type=machine.type,
            compute_type="BUILD_GENERAL1_MEDIUM",
            image=machine.image,
            privileged_mode=True,
            environment_variables=[
                variable(name="REPOSITORY", value=repository.attr_repository_uri),
                variable(name="TARGET", value=machine.targets[0]),
                variable(name="TAG", value=f"{machine.targets[0]}{machine.suffix}-{__version__}"),
            ],
        ),
        logs_config=codebuild.CfnProject.LogsConfigProperty(
            cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(
                status="ENABLED", group_name=log_group_name
            )
        ),
        timeout_in_minutes=60,
    )
    acknowledge(
        project,
        {
            "AwsSolutions-CB3": "building an image takes a Docker daemon, and that takes the privileged mode; "
            "the machine is the build's alone and gone after it",
            "AwsSolutions-CB4": "it writes no artifacts that could be encrypted; its logs are, under our key",
            **in_packs("CodeBuildProjectSourceRepoUrl", "its source is an archive in S3, read by its role; no OAuth"),
        },
    )
    return project
