"""The repository that images are kept in: what is in it stays as it is, and only builds put something in."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

REPOSITORY = "rerank-toolkit"

KEPT_IMAGES = 30
"""An image that an endpoint still runs must not go: its next instance would not start. ECR doesn't know which those
are, so the number is far above the pushes between two deploys."""


def image_repository(scope: Construct, builder: iam.IRole) -> ecr.CfnRepository:
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
