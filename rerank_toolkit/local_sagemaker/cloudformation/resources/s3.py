"""S3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceFailed,
    ResourceType,
    absent_is_fine,
    json_text,
)

_KNOWN = frozenset(
    {
        "AccessControl",
        "BucketEncryption",
        "BucketName",
        "LifecycleConfiguration",
        "LoggingConfiguration",
        "OwnershipControls",
        "PublicAccessBlockConfiguration",
        "Tags",
        "VersioningConfiguration",
    }
)


def _create_bucket(request: Request) -> Made:
    name = request.properties.get("BucketName") or request.name(63, lower=True)
    parameters: dict[str, Any] = {"Bucket": name}
    if request.region != "us-east-1":
        parameters["CreateBucketConfiguration"] = {"LocationConstraint": request.region}
    request.call("s3", "create_bucket", parameters)
    try:
        _configure_bucket(request, name)
    except Exception as error:  # the bucket stands already: whatever it is, the failure must name it to be undone
        raise ResourceFailed(str(error), name) from error
    domain = f"{name}.s3.amazonaws.com"
    return Made(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": domain,
            "RegionalDomainName": f"{name}.s3.{request.region}.amazonaws.com",
        },
    )


def _update_bucket(request: Request) -> Mapping[str, Any]:
    _configure_bucket(request, request.physical_id)
    return {}


def _configure_bucket(request: Request, name: str) -> None:
    """Puts what other calls can see. Access logs and lifecycles have no effect within a session's time."""
    properties = request.properties
    if unknown := sorted(set(properties) - _KNOWN):
        raise ResourceFailed(
            f"the local AWS can't set {', '.join(unknown)} of a bucket; it knows {', '.join(sorted(_KNOWN))}"
        )
    bucket = {"Bucket": name}
    if block := properties.get("PublicAccessBlockConfiguration"):
        request.call("s3", "put_public_access_block", {**bucket, "PublicAccessBlockConfiguration": block})
    if versioning := properties.get("VersioningConfiguration"):
        request.call("s3", "put_bucket_versioning", {**bucket, "VersioningConfiguration": versioning})
    if encryption := properties.get("BucketEncryption"):
        rules = [
            {_API_NAMES.get(key, key): value for key, value in rule.items()}
            for rule in encryption["ServerSideEncryptionConfiguration"]
        ]
        configuration = {"ServerSideEncryptionConfiguration": {"Rules": rules}}
        request.call("s3", "put_bucket_encryption", {**bucket, **configuration})
    if tags := properties.get("Tags"):
        request.call("s3", "put_bucket_tagging", {**bucket, "Tagging": {"TagSet": tags}})
    elif request.previous.get("Tags"):
        request.call("s3", "delete_bucket_tagging", bucket)


_API_NAMES = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}


def _delete_bucket(request: Request) -> None:
    request.call("s3", "delete_bucket", {"Bucket": request.physical_id})


def _put_policy(request: Request) -> Made:
    bucket, document = request.properties["Bucket"], request.properties["PolicyDocument"]
    request.call("s3", "put_bucket_policy", {"Bucket": bucket, "Policy": json_text(document)})
    return Made(bucket)


def _delete_policy(request: Request) -> None:
    request.call("s3", "delete_bucket_policy", {"Bucket": request.physical_id})


TYPES = {
    "AWS::S3::Bucket": ResourceType(
        create=_create_bucket,
        update=_update_bucket,
        delete=absent_is_fine(_delete_bucket, "NoSuchBucket"),
        immutable=frozenset({"BucketName"}),
    ),
    "AWS::S3::BucketPolicy": ResourceType(
        create=_put_policy,
        update=lambda request: _put_policy(request).attributes,
        delete=absent_is_fine(_delete_policy, "NoSuchBucket", "NoSuchBucketPolicy"),
        immutable=frozenset({"Bucket"}),
    ),
}
