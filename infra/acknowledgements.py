"""Findings of cdk-nag and cfn-lint that stand, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

COMPLIANCE_PACKS = ("HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321")


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Notes on `construct` why each finding, by its id, is meant to be so."""
    for finding, reason in reasons.items():
        Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))


def acknowledge_lint(stack: cdk.Stack, reasons: Mapping[str, str]) -> None:
    """Notes in the template why each of cfn-lint's rules does not hold for it."""
    linter = {"config": {"ignore_checks": sorted(reasons)}, "reasons": dict(reasons)}
    stack.template_options.metadata = {**(stack.template_options.metadata or {}), "cfn-lint": linter}


def in_packs(rule: str, reason: str) -> dict[str, str]:
    """The same rule goes by one id in each pack of compliance rules."""
    return {f"{pack}-{rule}": reason for pack in COMPLIANCE_PACKS}


INLINE_POLICY = in_packs("IAMNoInlinePolicy", "the policy is one role's alone and must go when that goes")


def wildcard_reasons(stack: cdk.Stack, reasons: Mapping[str, str]) -> dict[str, str]:
    """Reasons for resources with a * in them, of an Allow in a policy, by the ids of the findings."""
    return {
        f"AwsSolutions-IAM5[Resource::{_written(stack.resolve(_imported(stack, resource)))}]": reason
        for resource, reason in reasons.items()
    }


def _imported(stack: cdk.Stack, resource: str) -> str:
    """`resource` with what belongs to other stacks as it will be imported: the CDK itself finds that out too late."""
    for token in cdk.Tokenization.reverse_string(resource).tokens:
        if isinstance(token, cdk.Reference) and (owner := cdk.Stack.of(token.target)) is not stack:
            resource = resource.replace(cdk.Token.as_string(token), owner.export_value(token))
    return resource


def _written(value: Any) -> str:
    """A resolved resource as cdk-nag writes it in an id: references in angle brackets."""
    match value:
        case str():
            return value.replace("${", "<").replace("}", ">")
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_written(part) for part in parts)
        case {"Fn::Sub": text} | {"Fn::ImportValue": text}:
            return _written(text)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
    raise TypeError(f"{value!r} is no resource of a policy. This is a bug.")
