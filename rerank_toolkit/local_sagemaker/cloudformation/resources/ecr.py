"""ECR. The toolkit's own repository stands before any stack, for its images are this installation's program: a stack
that has it takes it over, and leaves it when it goes."""

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
from rerank_toolkit.local_sagemaker.sagemaker.images import REPOSITORY


def _create_repository(request: Request) -> Made:
    name = request.properties.get("RepositoryName") or request.name(256, lower=True)
    repository = _find_own(request) if name == REPOSITORY else _make(request, name)
    attributes = {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]}
    with standing(Made(name, attributes)) as made:
        _configure(request, name)
    return made


def _find_own(request: Request) -> Any:
    (repository,) = request.call("ecr", "describe_repositories", {"repositoryNames": [REPOSITORY]})["repositories"]
    return repository


def _make(request: Request, name: str) -> Any:
    parameters = {"repositoryName": name, "tags": request.properties.get("Tags", [])}
    parameters |= lower_first(request.pick("EncryptionConfiguration"))
    return request.call("ecr", "create_repository", parameters)["repository"]


def _update_repository(request: Request) -> Mapping[str, Any]:
    _configure(request, request.physical_id)
    request.retag("ecr", {"resourceArn": request.attributes["Arn"]}, tags="tags", keys="tagKeys")
    return {}


def _configure(request: Request, name: str) -> None:
    """Puts what can be changed, and takes away what the template no longer has."""
    repository, properties = {"repositoryName": name}, request.properties
    mutability = {"imageTagMutability": properties.get("ImageTagMutability", "MUTABLE")}
    request.call("ecr", "put_image_tag_mutability", {**repository, **mutability})
    scanning = properties.get("ImageScanningConfiguration", {"ScanOnPush": False})
    parameters = {**repository, "imageScanningConfiguration": lower_first(scanning)}
    request.call("ecr", "put_image_scanning_configuration", parameters)
    if lifecycle := properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText"):
        request.call("ecr", "put_lifecycle_policy", {**repository, "lifecyclePolicyText": lifecycle})
    elif request.previous.get("LifecyclePolicy"):
        request.call_if_there("LifecyclePolicyNotFoundException", "ecr", "delete_lifecycle_policy", repository)
    if policy := properties.get("RepositoryPolicyText"):
        request.call("ecr", "set_repository_policy", {**repository, "policyText": json_text(policy)})
    elif request.previous.get("RepositoryPolicyText"):
        request.call_if_there("RepositoryPolicyNotFoundException", "ecr", "delete_repository_policy", repository)


def _delete_repository(request: Request) -> None:
    if request.physical_id != REPOSITORY:
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
