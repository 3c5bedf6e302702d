"""ECR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceType,
    absent_is_fine,
    json_text,
    lower_first,
    standing,
)


def _create_repository(request: Request) -> Made:
    name = request.properties.get("RepositoryName") or request.name(256, lower=True)
    parameters: dict[str, Any] = {"repositoryName": name}
    for prop, parameter in (
        ("ImageTagMutability", "imageTagMutability"),
        ("ImageScanningConfiguration", "imageScanningConfiguration"),
        ("EncryptionConfiguration", "encryptionConfiguration"),
        ("Tags", "tags"),
    ):
        if prop in request.properties:
            parameters[parameter] = (
                lower_first(request.properties[prop]) if prop != "Tags" else request.properties[prop]
            )
    repository = request.call("ecr", "create_repository", parameters)["repository"]
    attributes = {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]}
    with standing(Made(name, attributes)) as made:
        _put_policies(request, name)
    return made


def _update_repository(request: Request) -> Mapping[str, Any]:
    name = request.physical_id
    if mutability := request.properties.get("ImageTagMutability"):
        request.call("ecr", "put_image_tag_mutability", {"repositoryName": name, "imageTagMutability": mutability})
    if scanning := request.properties.get("ImageScanningConfiguration"):
        parameters = {"repositoryName": name, "imageScanningConfiguration": lower_first(scanning)}
        request.call("ecr", "put_image_scanning_configuration", parameters)
    _put_policies(request, name)
    arn = f"arn:aws:ecr:{request.region}:{request.account}:repository/{name}"
    request.retag("ecr", {"resourceArn": arn}, tags="tags", keys="tagKeys")
    return {}


def _put_policies(request: Request, name: str) -> None:
    repository = {"repositoryName": name}
    if lifecycle := request.properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText"):
        parameters = {**repository, "lifecyclePolicyText": lifecycle}
        request.call("ecr", "put_lifecycle_policy", parameters)
    elif request.previous.get("LifecyclePolicy"):
        request.call_if_there("LifecyclePolicyNotFoundException", "ecr", "delete_lifecycle_policy", repository)
    if policy := request.properties.get("RepositoryPolicyText"):
        request.call("ecr", "set_repository_policy", {**repository, "policyText": json_text(policy)})
    elif request.previous.get("RepositoryPolicyText"):
        request.call_if_there("RepositoryPolicyNotFoundException", "ecr", "delete_repository_policy", repository)


def _delete_repository(request: Request) -> None:
    force = bool(request.properties.get("EmptyOnDelete", False))
    request.call("ecr", "delete_repository", {"repositoryName": request.physical_id, "force": force})


TYPES = {
    "AWS::ECR::Repository": ResourceType(
        create=_create_repository,
        update=_update_repository,
        delete=absent_is_fine(_delete_repository, "RepositoryNotFoundException"),
        immutable=frozenset({"RepositoryName", "EncryptionConfiguration"}),
    )
}
