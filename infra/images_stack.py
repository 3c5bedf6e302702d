"""A repository for the images, and projects that build them from this checkout for people without Docker."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.acknowledgements import acknowledge, in_packs
from infra.execution_role import account_service, write_logs
from infra.foundation import environment
from infra.image import LEFT_OUT, checkout
from infra.log_group import log_group
from infra.tags import tag
from rerank_toolkit import __version__
from rerank_toolkit.contracts.plan import Plan

IMAGES = "RerankImages"
REPOSITORY = "rerank-toolkit"
BUILDSPEC = Path(__file__).with_name("buildspec.json")

KEPT_IMAGES = 30
"""An image that an endpoint still runs must not go: its next instance would not start. ECR doesn't know which those
are, so the number is far above the pushes between two deploys."""


@dataclass(frozen=True)
class Builder:
    """A kind of machine that images are built on: each builds for its own architecture."""

    name: str
    type: str
    image: str
    targets: tuple[str, ...]
    """Stages of the Dockerfile."""
    suffix: str
    """Of a tag, between target and version."""


BUILDERS = (
    Builder("X86", "LINUX_CONTAINER", "aws/codebuild/amazonlinux-x86_64-standard:6.0", ("cpu", "gpu"), ""),
    Builder("Arm", "ARM_CONTAINER", "aws/codebuild/amazonlinux-aarch64-standard:4.0", ("cpu",), "-arm64"),
)


class ImagesStack(cdk.Stack):
    """Idle, it costs what ECR takes for the images; a build, its minutes. Nothing runs before somebody starts it."""

    def __init__(self, scope: Construct, plan: Plan, key: kms.IKey) -> None:
        super().__init__(
            scope,
            IMAGES,
            env=environment(plan),
            description=f"Builds the container images of rerank-toolkit {__version__} and keeps them",
        )
        tag(self)  # not the plan: it serves the endpoints of all plans
        source = s3_assets.Asset(
            self, "Source", path=str(checkout()), exclude=LEFT_OUT, ignore_mode=cdk.IgnoreMode.DOCKER
        )
        logs = log_group(
            self, "Logs", name="/rerank-toolkit/images", retention_days=plan.operations.log_retention_days, key=key
        )
        repository_arn = self.format_arn(service="ecr", resource="repository", resource_name=REPOSITORY)
        role = _build_role(self, source, repository_arn, logs.attr_arn)
        repository = _repository(self, role)
        for builder in BUILDERS:
            project = _project(self, builder, source=source, role=role, log_group_name=logs.ref, repository=repository)
            for target in builder.targets:
                self._add_command(project, builder, target)

    def _add_command(self, project: codebuild.CfnProject, builder: Builder, target: str) -> None:
        words = ["aws", "codebuild", "start-build", "--region", self.region, "--project-name"]
        variables = {"TARGET": target, "TAG": f"{target}{builder.suffix}-{__version__}"}
        overrides = [f"name={name},value={value}" for name, value in variables.items()]
        cdk.CfnOutput(
            self,
            f"Build{target.title()}{builder.name}",
            value=f"{shlex.join(words)} {project.ref} {shlex.join(['--environment-variables-override', *overrides])}",
            description=f"Builds {REPOSITORY}:{variables['TAG']}",
        )


def _repository(scope: Construct, builder: iam.Role) -> ecr.CfnRepository:
    push = ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]
    only_the_builder = iam.PolicyStatement(
        sid="OnlyBuildsPush",
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=push,
        conditions={"ArnNotEquals": {"aws:PrincipalArn": builder.role_arn}},
    )
    keep = {
        "rulePriority": 1,
        "description": f"The {KEPT_IMAGES} pushed last",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
        "action": {"type": "expire"},
    }
    repository = ecr.CfnRepository(
        scope,
        "Repository",
        repository_name=REPOSITORY,
        # A tag names one image for ever: what was scanned and tried is what the next instance runs.
        image_tag_mutability="IMMUTABLE",
        image_scanning_configuration=ecr.CfnRepository.ImageScanningConfigurationProperty(scan_on_push=True),
        # Under ECR's own key: no weights and no data are in an image, and each instance's start would hang on ours.
        encryption_configuration=ecr.CfnRepository.EncryptionConfigurationProperty(encryption_type="KMS"),
        lifecycle_policy=ecr.CfnRepository.LifecyclePolicyProperty(lifecycle_policy_text=json.dumps({"rules": [keep]})),
        repository_policy_text=iam.PolicyDocument(statements=[only_the_builder]),
        empty_on_delete=True,  # so that destroying leaves nothing billed
    )
    repository.apply_removal_policy(cdk.RemovalPolicy.DESTROY)
    return repository


def _build_role(scope: cdk.Stack, source: s3_assets.Asset, repository_arn: str, log_group_arn: str) -> iam.Role:
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
        # A token is the registry's, not a repository's: IAM knows no narrower resource.
        iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
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
            **in_packs("IAMNoInlinePolicy", "the policy is this role's alone and must go when it goes"),
        },
    )
    return role


def _project(
    scope: Construct,
    builder: Builder,
    *,
    source: s3_assets.Asset,
    role: iam.Role,
    log_group_name: str,
    repository: ecr.CfnRepository,
) -> codebuild.CfnProject:
    variable = codebuild.CfnProject.EnvironmentVariableProperty
    project = codebuild.CfnProject(
        scope,
        builder.name,
        description=f"Builds {REPOSITORY} for {builder.name}: {', '.join(builder.targets)}",
        service_role=role.role_arn,
        source=codebuild.CfnProject.SourceProperty(
            type="S3",
            location=f"{source.s3_bucket_name}/{source.s3_object_key}",
            build_spec=BUILDSPEC.read_text(encoding="utf-8"),
        ),
        artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
        environment=codebuild.CfnProject.EnvironmentProperty(
            type=builder.type,
            compute_type="BUILD_GENERAL1_MEDIUM",
            image=builder.image,
            privileged_mode=True,
            environment_variables=[
                variable(name="REPOSITORY", value=repository.attr_repository_uri),
                variable(name="TARGET", value=builder.targets[0]),
                variable(name="TAG", value=f"{builder.targets[0]}{builder.suffix}-{__version__}"),
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
