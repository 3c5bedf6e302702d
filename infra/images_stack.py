"""A repository for the images, and projects that build them from this checkout for people without Docker."""

from __future__ import annotations

import shlex

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.foundation import environment
from infra.image import LEFT_OUT, checkout
from infra.image_builder import MACHINES, Machine, build_project, build_role
from infra.image_repository import REPOSITORY, image_repository
from infra.log_group import log_group
from infra.tags import tag
from rerank_toolkit import __version__
from rerank_toolkit.contracts.plan import Plan

IMAGES = "RerankImages"


class ImagesStack(cdk.Stack):
    """Idle, it costs what ECR takes for the images; a build, its minutes. Nothing runs before somebody starts it."""

    def __init__(self, scope: Construct, plan: Plan, key: kms.IKey) -> None:
        super().__init__(
            scope,
            IMAGES,
            env=environment(plan),
            description=f"Builds the container images of rerank-toolkit {__version__} and keeps them; "
            "billed by the gigabyte, and by the minute of a build",
        )
        tag(self)  # not the plan: it serves the endpoints of all plans
        source = s3_assets.Asset(
            self, "Source", path=str(checkout()), exclude=LEFT_OUT, ignore_mode=cdk.IgnoreMode.DOCKER
        )
        logs = log_group(
            self, "Logs", name="/rerank-toolkit/images", retention_days=plan.operations.log_retention_days, key=key
        )
        repository_arn = self.format_arn(service="ecr", resource="repository", resource_name=REPOSITORY)
        role = build_role(self, source, repository_arn, logs.attr_arn)
        repository = image_repository(self, role)
        for machine in MACHINES:
            project = build_project(
                self, machine, source=source, role=role, log_group_name=logs.ref, repository=repository
            )
            for target in machine.targets:
                self._add_command(project, machine, target)

    def _add_command(self, project: codebuild.CfnProject, machine: Machine, target: str) -> None:
        words = ["aws", "codebuild", "start-build", "--region", self.region, "--project-name"]
        variables = {"TARGET": target, "TAG": f"{target}{machine.suffix}-{__version__}"}
        overrides = [f"name={name},value={value}" for name, value in variables.items()]
        cdk.CfnOutput(
            self,
            f"Build{target.title()}{machine.name}",
            value=f"{shlex.join(words)} {project.ref} {shlex.join(['--environment-variables-override', *overrides])}",
            description=f"Builds {REPOSITORY}:{variables['TAG']}",
        )
