"""Step Functions: a state machine's executions really run, see `additions/stepfunctions.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceType,
    absent_is_fine,
    lower_first,
    tags_of,
)

_SUBSTITUTED = re.compile(r"\$\{(?P<name>[\w.-]+)\}")
_CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "EncryptionConfiguration": {"type": "AWS_OWNED_KEY"},
    "LoggingConfiguration": {"level": "OFF"},
    "TracingConfiguration": {"enabled": False},
}
"""And what each is when the template no longer has it."""


def _create_machine(request: Request) -> Made:
    name = request.properties.get("StateMachineName") or request.name(80)
    parameters = {"name": name, "tags": _tag_list(tags_of(request.properties)), **_parameters(request)}
    if kind := request.properties.get("StateMachineType"):
        parameters["type"] = kind
    arn = request.call("stepfunctions", "create_state_machine", parameters)["stateMachineArn"]
    return Made(arn, {"Arn": arn, "Name": name})


def _update_machine(request: Request) -> Mapping[str, Any]:
    machine = {"stateMachineArn": request.physical_id}
    request.call("stepfunctions", "update_state_machine", {**machine, **_parameters(request)})
    request.retag("stepfunctions", {"resourceArn": request.physical_id}, tags="tags", keys="tagKeys", encode=_tag_list)
    return {}


def _parameters(request: Request) -> dict[str, Any]:
    parameters = {"definition": _definition(request), "roleArn": request.properties["RoleArn"]}
    for name, default in _CONFIGURATIONS.items():
        if name in request.properties:
            parameters |= lower_first(request.pick(name))
        elif name in request.previous:
            parameters |= lower_first({name: default})
    return parameters


def _definition(request: Request) -> str:
    """The definition from wherever the template has it, its placeholders replaced."""
    properties = request.properties
    if location := properties.get("DefinitionS3Location"):
        version = {"VersionId": location["Version"]} if "Version" in location else {}
        found = request.call("s3", "get_object", {"Bucket": location["Bucket"], "Key": location["Key"], **version})
        text: str = found["Body"].read().decode("utf-8")
    elif "DefinitionString" in properties:
        text = properties["DefinitionString"]
    else:
        text = json.dumps(properties.get("Definition", {}))
    values = properties.get("DefinitionSubstitutions", {})

    def replace(match: re.Match[str]) -> str:
        return str(values[match["name"]]) if match["name"] in values else match[0]

    return _SUBSTITUTED.sub(replace, text)


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _delete_machine(request: Request) -> None:
    request.call("stepfunctions", "delete_state_machine", {"stateMachineArn": request.physical_id})


TYPES = {
    "AWS::StepFunctions::StateMachine": ResourceType(
        create=_create_machine,
        update=_update_machine,
        delete=absent_is_fine(_delete_machine, "StateMachineDoesNotExist"),
        immutable=frozenset({"StateMachineName", "StateMachineType"}),
    )
}
