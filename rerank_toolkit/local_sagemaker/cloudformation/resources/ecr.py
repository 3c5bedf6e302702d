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
                _lower_first(request.properties[prop]) if prop != "Tags" else request.properties[prop]
            )
    repository = request.call("ecr", "create_repository", parameters)["repository"]
    _put_policies(request, name)
    return Made(name, {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]})


def _update_repository(request: Request) -> Mapping[str, Any]:
    name = request.physical_id
    if mutability := request.properties.get("ImageTagMutability"):
        request.call("ecr", "put_image_tag_mutability", {"repositoryName": name, "imageTagMutability": mutability})
    if scanning := request.properties.get("ImageScanningConfiguration"):
        parameters = {"repositoryName": name, "imageScanningConfiguration": _lower_first(scanning)}
        request.call("ecr", "put_image_scanning_configuration", parameters)
    _put_policies(request, name)
    arn = f"arn:aws:ecr:{request.region}:{request.account}:repository/{name}"
    request.retag("ecr", {"resourceArn": arn}, tags="tags", keys="tagKeys")
    return {}


def _put_policies(request: Request, name: str) -> None:
    if lifecycle := request.properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText"):
        parameters = {"repositoryName": name, "lifecyclePolicyText": lifecycle}
        request.call("ecr", "put_lifecycle_policy", parameters)
    if policy := request.properties.get("RepositoryPolicyText"):
        request.call("ecr", "set_repository_policy", {"repositoryName": name, "policyText": json_text(policy)})


def _delete_repository(request: Request) -> None:
    force = bool(request.properties.get("EmptyOnDelete", False))
    request.call("ecr", "delete_repository", {"repositoryName": request.physical_id, "force": force})


def _lower_first(value: Any) -> Any:
    """The template writes ScanOnPush where the API writes scanOnPush."""
    if isinstance(value, Mapping):
        return {name[0].lower() + name[1:]: _lower_first(item) for name, item in value.items()}
    return value


TYPES = {
    "AWS::ECR::Repository": ResourceType(
        create=_create_repository,
        update=_update_repository,
        delete=absent_is_fine(_delete_repository, "RepositoryNotFoundException"),
        immutable=frozenset({"RepositoryName", "EncryptionConfiguration"}),
    )
}
