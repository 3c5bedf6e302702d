"""Records of stacks as the API's answers show them."""

from __future__ import annotations

from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.intrinsics import as_text
from rerank_toolkit.local_sagemaker.cloudformation.stacks import (
    Change,
    ChangeSet,
    Desired,
    Event,
    Output,
    Resource,
    Stack,
)
from rerank_toolkit.local_sagemaker.cloudformation.template import Template


def change_set(stack: Stack, change_set: ChangeSet) -> dict[str, Any]:
    return {
        **change_set_summary(stack, change_set),
        "Description": change_set.description,
        "Parameters": _parameters(change_set.desired),
        "Capabilities": list(stack.capabilities),
        "Tags": _tags(change_set.desired),
        "Changes": [{"Type": "Resource", "ResourceChange": _change(change)} for change in change_set.changes],
    }


def change_set_summary(stack: Stack, change_set: ChangeSet) -> dict[str, Any]:
    return {
        "ChangeSetName": change_set.name,
        "ChangeSetId": change_set.id,
        "StackId": stack.id,
        "StackName": stack.name,
        "CreationTime": change_set.created,
        "ExecutionStatus": "AVAILABLE" if change_set.status == "CREATE_COMPLETE" else "UNAVAILABLE",
        "Status": change_set.status,
        "StatusReason": change_set.reason,
    }


def summary(stack: Stack) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "TemplateDescription": stack.desired.template.description,
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
    }


def stack(stack: Stack) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": stack.desired.template.description,
        "Parameters": _parameters(stack.desired),
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DisableRollback": stack.desired.disable_rollback,
        "Capabilities": list(stack.capabilities),
        "Outputs": [_output(output) for output in stack.outputs],
        "RoleARN": stack.role,
        "Tags": _tags(stack.desired),
        "EnableTerminationProtection": stack.termination_protection,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


def event(stack: Stack, event: Event) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "EventId": event.id,
        "StackName": stack.name,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.type,
        "Timestamp": event.time,
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
        "ClientRequestToken": event.token,
    }


def resource(resource: Resource) -> dict[str, Any]:
    return {
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }


def template(template: Template) -> dict[str, Any]:
    named = any(resource.type.startswith("AWS::IAM::") for resource in template.resources.values())
    return {
        "Description": template.description,
        "Parameters": [
            {
                "ParameterKey": name,
                "DefaultValue": _optional_text(entry.get("Default")),
                "ParameterType": entry.get("Type"),
                "NoEcho": bool(entry.get("NoEcho", False)),
                "Description": entry.get("Description"),
            }
            for name, entry in template.parameters.items()
        ],
        "Capabilities": ["CAPABILITY_NAMED_IAM"] if named else [],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "Action": change.action,
        "LogicalResourceId": change.logical_id,
        "PhysicalResourceId": change.physical_id,
        "ResourceType": change.type,
        "Replacement": change.replacement,
        "Scope": ["Properties"] if change.properties else [],
        "Details": [
            {
                "Target": {
                    "Attribute": "Properties",
                    "Name": name,
                    "RequiresRecreation": "Always" if change.replacement == "True" else "Never",
                },
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
            }
            for name in change.properties
        ],
    }


def _output(output: Output) -> dict[str, Any]:
    return {
        "OutputKey": output.key,
        "OutputValue": output.value,
        "Description": output.description,
        "ExportName": output.export,
    }


def _parameters(desired: Desired) -> list[dict[str, Any]]:
    return [
        {"ParameterKey": name, "ParameterValue": as_text(desired.parameters.get(name, entry.get("Default")))}
        for name, entry in desired.template.parameters.items()
    ]


def _tags(desired: Desired) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in desired.tags]


def _optional_text(value: Any) -> str | None:
    return None if value is None else as_text(value)
