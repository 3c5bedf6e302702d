"""What a role needs to fetch one version's artifacts and images: a policy that comes and goes with that version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker

from infra.acknowledgements import INLINE_POLICY, acknowledge, wildcard_reasons
from infra.container import Container


def let_fetch(
    stack: cdk.Stack, role: iam.IRole, containers: Sequence[Container], models: Iterable[sagemaker.CfnModel]
) -> None:
    """Lets the role of `models`, which wait for it, fetch what `containers` are made of.

    Its logical id is of its content. With another artifact comes another policy, and the one before stays until the
    update is over, as all that CloudFormation replaces. A part of the role would change at once instead, and a rollout
    that goes back starts instances of the old version, which must still be able to fetch it.
    """
    statements = [statement for container in containers for statement in container.statements]
    if not statements:  # Marketplace packages are fetched in the seller's name
        return
    document = iam.PolicyDocument(statements=statements, minimize=True)  # variants share images
    content = json.dumps(stack.resolve(document.to_json()), sort_keys=True)
    version = hashlib.sha256(content.encode()).hexdigest()[:8].upper()
    policy = iam.CfnPolicy(
        stack,
        f"Fetch{version}",
        policy_name=f"fetch-{version}",  # two of a role can't be called alike
        policy_document=document,
        roles=[role.role_name],
    )
    for model in models:
        model.add_resource_dependency(policy)
    wildcards = {arn: reason for container in containers for arn, reason in container.wildcards.items()}
    acknowledge(
        policy,
        {
            **wildcard_reasons(stack, {"*": "ecr:GetAuthorizationToken knows no resources", **wildcards}),
            **INLINE_POLICY,
        },
    )
