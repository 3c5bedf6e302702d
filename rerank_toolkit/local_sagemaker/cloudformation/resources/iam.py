"""IAM: roles and policies are kept, and nothing checks them on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceType,
    absent_is_fine,
    json_text,
    standing,
)

GONE = "NoSuchEntity"


def _create_role(request: Request) -> Made:
    properties = request.properties
    name = properties.get("RoleName") or request.name(64)
    role = request.call(
        "iam",
        "create_role",
        {
            "RoleName": name,
            "AssumeRolePolicyDocument": json_text(properties["AssumeRolePolicyDocument"]),
            **request.pick("Path", "Description", "MaxSessionDuration", "PermissionsBoundary", "Tags"),
        },
    )["Role"]
    with standing(Made(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})) as made:
        _put_inline(request, name, {})
        for arn in properties.get("ManagedPolicyArns", ()):
            request.call("iam", "attach_role_policy", {"RoleName": name, "PolicyArn": arn})
    return made


def _update_role(request: Request) -> Mapping[str, Any]:
    name, old, new = request.physical_id, request.previous, request.properties
    document = json_text(new["AssumeRolePolicyDocument"])
    request.call("iam", "update_assume_role_policy", {"RoleName": name, "PolicyDocument": document})
    request.call("iam", "update_role", {"RoleName": name, **request.pick("Description", "MaxSessionDuration")})
    _put_boundary(request)
    _put_inline(request, name, {policy["PolicyName"] for policy in old.get("Policies", ())})
    before, after = set(old.get("ManagedPolicyArns", ())), set(new.get("ManagedPolicyArns", ()))
    for arn in sorted(after - before):
        request.call("iam", "attach_role_policy", {"RoleName": name, "PolicyArn": arn})
    for arn in sorted(before - after):
        request.call_if_there(GONE, "iam", "detach_role_policy", {"RoleName": name, "PolicyArn": arn})
    request.retag("iam", {"RoleName": name}, put="tag_role", drop="untag_role")
    return {}


def _put_boundary(request: Request) -> None:
    role = {"RoleName": request.physical_id}
    if arn := request.properties.get("PermissionsBoundary"):
        request.call("iam", "put_role_permissions_boundary", {**role, "PermissionsBoundary": arn})
    elif request.previous.get("PermissionsBoundary"):
        request.call_if_there(GONE, "iam", "delete_role_permissions_boundary", role)


def _put_inline(request: Request, role: str, before: Any) -> None:
    policies = {policy["PolicyName"]: policy["PolicyDocument"] for policy in request.properties.get("Policies", ())}
    for policy, document in policies.items():
        parameters = {"RoleName": role, "PolicyName": policy, "PolicyDocument": json_text(document)}
        request.call("iam", "put_role_policy", parameters)
    for policy in sorted(set(before) - set(policies)):
        request.call_if_there(GONE, "iam", "delete_role_policy", {"RoleName": role, "PolicyName": policy})


def _delete_role(request: Request) -> None:
    role = {"RoleName": request.physical_id}
    for name in request.call("iam", "list_role_policies", role)["PolicyNames"]:
        request.call("iam", "delete_role_policy", {**role, "PolicyName": name})
    for policy in request.call("iam", "list_attached_role_policies", role)["AttachedPolicies"]:
        request.call("iam", "detach_role_policy", {**role, "PolicyArn": policy["PolicyArn"]})
    request.call("iam", "delete_role", role)


# AWS::IAM::Policy is an inline policy of the principals it names.
_PRINCIPALS = (("Roles", "role", "RoleName"), ("Users", "user", "UserName"), ("Groups", "group", "GroupName"))


def _put_policy(request: Request) -> Made:
    name, document = request.properties["PolicyName"], json_text(request.properties["PolicyDocument"])
    for prop, kind, key in _PRINCIPALS:
        for principal in request.properties.get(prop, ()):
            parameters = {key: principal, "PolicyName": name, "PolicyDocument": document}
            request.call("iam", f"put_{kind}_policy", parameters)
    return Made(request.physical_id or request.name(64))


def _update_policy(request: Request) -> Mapping[str, Any]:
    _put_policy(request)
    renamed = request.previous["PolicyName"] != request.properties["PolicyName"]
    _delete_inline(request, request.previous, keep={} if renamed else request.properties)
    return {}


def _delete_inline(request: Request, properties: Mapping[str, Any], keep: Mapping[str, Any]) -> None:
    for prop, kind, key in _PRINCIPALS:
        for principal in set(properties.get(prop, ())) - set(keep.get(prop, ())):
            parameters = {key: principal, "PolicyName": properties["PolicyName"]}
            request.call_if_there(GONE, "iam", f"delete_{kind}_policy", parameters)


def _create_managed(request: Request) -> Made:
    properties = request.properties
    name = properties.get("ManagedPolicyName") or request.name(128)
    parameters = {"PolicyName": name, "PolicyDocument": json_text(properties["PolicyDocument"])}
    arn = request.call("iam", "create_policy", {**parameters, **request.pick("Path", "Description")})["Policy"]["Arn"]
    with standing(Made(arn, {"PolicyArn": arn})) as made:
        _attach(request, arn, {})
    return made


def _update_managed(request: Request) -> Mapping[str, Any]:
    arn, document = request.physical_id, request.properties["PolicyDocument"]
    if document != request.previous["PolicyDocument"]:
        for version in request.call("iam", "list_policy_versions", {"PolicyArn": arn})["Versions"]:
            if not version["IsDefaultVersion"]:  # IAM keeps five at most
                former = {"PolicyArn": arn, "VersionId": version["VersionId"]}
                request.call_if_there(GONE, "iam", "delete_policy_version", former)
        parameters = {"PolicyArn": arn, "PolicyDocument": json_text(document), "SetAsDefault": True}
        request.call("iam", "create_policy_version", parameters)
    _attach(request, arn, request.previous)
    return {}


def _attach(request: Request, arn: str, before: Mapping[str, Any]) -> None:
    for prop, kind, key in _PRINCIPALS:
        old, new = set(before.get(prop, ())), set(request.properties.get(prop, ()))
        for principal in sorted(new - old):
            request.call("iam", f"attach_{kind}_policy", {key: principal, "PolicyArn": arn})
        for principal in sorted(old - new):
            request.call_if_there(GONE, "iam", f"detach_{kind}_policy", {key: principal, "PolicyArn": arn})


def _delete_managed(request: Request) -> None:
    arn = {"PolicyArn": request.physical_id}
    for version in request.call("iam", "list_policy_versions", arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            request.call("iam", "delete_policy_version", {**arn, "VersionId": version["VersionId"]})
    for prop, kind, key in _PRINCIPALS:
        for principal in request.properties.get(prop, ()):
            request.call_if_there(GONE, "iam", f"detach_{kind}_policy", {key: principal, **arn})
    request.call("iam", "delete_policy", arn)


TYPES = {
    "AWS::IAM::Role": ResourceType(
        create=_create_role,
        update=_update_role,
        delete=absent_is_fine(_delete_role, GONE),
        immutable=frozenset({"RoleName", "Path"}),
    ),
    "AWS::IAM::Policy": ResourceType(
        create=_put_policy,
        update=_update_policy,
        delete=lambda request: _delete_inline(request, request.properties, keep={}),
    ),
    "AWS::IAM::ManagedPolicy": ResourceType(
        create=_create_managed,
        update=_update_managed,
        delete=absent_is_fine(_delete_managed, GONE),
        immutable=frozenset({"Description", "ManagedPolicyName", "Path"}),
    ),
}
