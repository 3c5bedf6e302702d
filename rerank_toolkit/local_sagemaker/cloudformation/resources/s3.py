"""S3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceFailed,
    ResourceType,
    absent_is_fine,
    json_text,
    standing,
)


def _create_bucket(request: Request) -> Made:
    name = request.properties.get("BucketName") or request.name(63, lower=True)
    parameters: dict[str, Any] = {"Bucket": name}
    if request.region != "us-east-1":
        parameters["CreateBucketConfiguration"] = {"LocationConstraint": request.region}
    request.call("s3", "create_bucket", parameters)
    attributes = {
        "Arn": f"arn:aws:s3:::{name}",
        "DomainName": f"{name}.s3.amazonaws.com",
        "RegionalDomainName": f"{name}.s3.{request.region}.amazonaws.com",
    }
    with standing(Made(name, attributes)) as made:
        _configure_bucket(request, name)
    return made


def _update_bucket(request: Request) -> Mapping[str, Any]:
    _configure_bucket(request, request.physical_id)
    return {}


def _configure_bucket(request: Request, name: str) -> None:
    """Puts what other calls can see, and takes away what the template no longer has. Nothing of it has an effect within
    a session's time: no access log is written, no object expires."""
    known = {*_SETTINGS, *_KEPT}
    if unknown := sorted(set(request.properties) - known):
        raise ResourceFailed(
            f"the local AWS can't set {', '.join(unknown)} of a bucket; it knows {', '.join(sorted(known))}"
        )
    for prop, (put, drop, parameters) in _SETTINGS.items():
        if value := request.properties.get(prop):
            request.call("s3", put, {"Bucket": name, **parameters(value)})
        elif request.previous.get(prop) and drop:
            request.call("s3", drop, {"Bucket": name})


def _encryption(value: Any) -> dict[str, Any]:
    rules = [_renamed(rule, _ENCRYPTION_NAMES) for rule in value["ServerSideEncryptionConfiguration"]]
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def _lifecycle(value: Any) -> dict[str, Any]:
    return {"LifecycleConfiguration": {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}}


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Templates write the conditions of a rule beside each other, the API within one another."""
    made: dict[str, Any] = {"Status": rule["Status"], "Filter": _lifecycle_filter(rule)}
    if "Id" in rule:
        made["ID"] = rule["Id"]
    expiration = {api: rule[name] for name, api in _EXPIRATION_NAMES.items() if name in rule}
    if expiration:
        made["Expiration"] = expiration
    if "NoncurrentVersionExpirationInDays" in rule:
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    for name in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
        if name in rule:
            made[name] = rule[name]
    for one, several, names in (
        ("Transition", "Transitions", _TRANSITION_NAMES),
        ("NoncurrentVersionTransition", "NoncurrentVersionTransitions", _NONCURRENT_TRANSITION_NAMES),
    ):
        entries = [*([rule[one]] if one in rule else []), *rule.get(several, ())]
        if entries:
            made[several] = [_renamed(entry, names) for entry in entries]
    return made


def _lifecycle_filter(rule: Mapping[str, Any]) -> dict[str, Any]:
    conditions = {
        name: rule[name] for name in ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan") if name in rule
    }
    tags = rule.get("TagFilters", ())
    if len(conditions) + len(tags) > 1:
        return {"And": {**conditions, **({"Tags": tags} if tags else {})}}
    if tags:
        return {"Tag": tags[0]}
    return conditions or {"Prefix": ""}


def _renamed(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): item for name, item in value.items()}


_ENCRYPTION_NAMES = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
_EXPIRATION_NAMES = {
    "ExpirationDate": "Date",
    "ExpirationInDays": "Days",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
_TRANSITION_NAMES = {"TransitionDate": "Date", "TransitionInDays": "Days"}
_NONCURRENT_TRANSITION_NAMES = {"TransitionInDays": "NoncurrentDays"}

_SETTINGS: Mapping[str, tuple[str, str | None, Callable[[Any], dict[str, Any]]]] = {
    "BucketEncryption": ("put_bucket_encryption", "delete_bucket_encryption", _encryption),
    "LifecycleConfiguration": ("put_bucket_lifecycle_configuration", "delete_bucket_lifecycle", _lifecycle),
    "OwnershipControls": (
        "put_bucket_ownership_controls",
        "delete_bucket_ownership_controls",
        lambda value: {"OwnershipControls": value},
    ),
    "PublicAccessBlockConfiguration": (
        "put_public_access_block",
        "delete_public_access_block",
        lambda value: {"PublicAccessBlockConfiguration": value},
    ),
    "Tags": ("put_bucket_tagging", "delete_bucket_tagging", lambda value: {"Tagging": {"TagSet": value}}),
    "VersioningConfiguration": ("put_bucket_versioning", None, lambda value: {"VersioningConfiguration": value}),
}
"""By property: the operation that puts it, the one that takes it away, and its parameters."""

_KEPT = ("AccessControl", "BucketName", "LoggingConfiguration")
"""Nothing to put: the name is given with the bucket, and the local S3 checks no access and writes no log."""


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
        immutable=frozenset({"BucketName", "BucketNamePrefix", "BucketNamespace"}),
    ),
    "AWS::S3::BucketPolicy": ResourceType(
        create=_put_policy,
        update=lambda request: _put_policy(request).attributes,
        delete=absent_is_fine(_delete_policy, "NoSuchBucket", "NoSuchBucketPolicy"),
        immutable=frozenset({"Bucket"}),
    ),
}
