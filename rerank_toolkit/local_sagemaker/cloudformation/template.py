"""A template as it was handed in: parsed, checked for what needs no resource to be known, and put in order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

import yaml

from rerank_toolkit.local_sagemaker.cloudformation.intrinsics import TemplateError, references

PSEUDO_PARAMETERS = frozenset(
    f"AWS::{name}"
    for name in ("AccountId", "NoValue", "NotificationARNs", "Partition", "Region", "StackId", "StackName", "URLSuffix")
)


@dataclass(frozen=True, slots=True)
class ResourceDefinition:
    """One entry of a template's Resources."""

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    depends_on: tuple[str, ...]
    condition: str | None
    retained_on_delete: bool
    retained_on_replace: bool
    retained_on_rollback: bool
    """Stays although the operation that made it fails."""


@dataclass(frozen=True)
class Template:
    """`text` is what GetTemplate answers, word for word."""

    text: str
    document: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Template:
        """JSON or YAML. Raises TemplateError for one that CloudFormation would refuse to look at."""
        try:
            document = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _Loader)
        except (json.JSONDecodeError, yaml.YAMLError) as error:
            raise TemplateError(f"Template format error: not JSON or YAML: {error}") from None
        if (
            not isinstance(document, dict)
            or not isinstance(document.get("Resources"), dict)
            or not document["Resources"]
        ):
            raise TemplateError("Template format error: At least one Resources member must be defined.")
        template = cls(text, document)
        template._check_references()
        return template

    @property
    def description(self) -> str | None:
        return self.document.get("Description")

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        return self.document.get("Parameters") or {}

    @property
    def conditions(self) -> Mapping[str, Any]:
        return self.document.get("Conditions") or {}

    @property
    def mappings(self) -> Mapping[str, Any]:
        return self.document.get("Mappings") or {}

    @property
    def rules(self) -> Mapping[str, Mapping[str, Any]]:
        return self.document.get("Rules") or {}

    @property
    def outputs(self) -> Mapping[str, Mapping[str, Any]]:
        return self.document.get("Outputs") or {}

    @cached_property
    def resources(self) -> Mapping[str, ResourceDefinition]:
        """Definitions by logical id, each after those that it depends on."""
        resources = {name: _define(name, entry) for name, entry in self.document["Resources"].items()}
        sorter = TopologicalSorter(
            {name: sorted(self.dependencies(resource, resources)) for name, resource in resources.items()}
        )
        try:
            return {name: resources[name] for name in sorter.static_order()}
        except CycleError as error:
            names = ", ".join(dict.fromkeys(error.args[1]))
            raise TemplateError(f"Circular dependency between resources: [{names}]") from None

    @staticmethod
    def dependencies(resource: ResourceDefinition, among: Mapping[str, Any]) -> set[str]:
        """Logical ids, of those in `among`, that must exist before `resource`."""
        return ({*resource.depends_on, *references(resource.properties)} & set(among)) - {resource.logical_id}

    def _check_references(self) -> None:
        resources = self.resources
        known = {*resources, *self.parameters, *PSEUDO_PARAMETERS}
        used = {
            name for resource in resources.values() for name in (*resource.depends_on, *references(resource.properties))
        }
        if unknown := sorted(used - known):
            raise TemplateError(
                f"Template format error: Unresolved resource dependencies [{', '.join(unknown)}] "
                "in the Resources block of the template"
            )
        conditions = {resource.condition for resource in resources.values() if resource.condition}
        if unknown := sorted(conditions - set(self.conditions)):
            raise TemplateError(f"Template format error: Unresolved conditions [{', '.join(unknown)}]")


def _define(name: str, entry: Any) -> ResourceDefinition:
    if not isinstance(entry, dict) or not isinstance(entry.get("Type"), str):
        raise TemplateError(
            f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )
    depends_on = entry.get("DependsOn") or ()
    deletion = entry.get("DeletionPolicy", "Delete")
    keep = ("Retain", "RetainExceptOnCreate", "Snapshot")
    return ResourceDefinition(
        logical_id=name,
        type=entry["Type"],
        properties=entry.get("Properties") or {},
        depends_on=(depends_on,) if isinstance(depends_on, str) else tuple(depends_on),
        condition=entry.get("Condition"),
        retained_on_delete=deletion in keep,
        retained_on_replace=entry.get("UpdateReplacePolicy", "Delete") in keep,
        retained_on_rollback=deletion == "Retain",
    )


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML ships no types
    """YAML with CloudFormation's short forms, such as !GetAtt."""


def _construct_short_form(loader: _Loader, suffix: str, node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _construct_short_form)
_Loader.yaml_implicit_resolvers = {  # dates stay text, as in "Version: 2012-10-17"
    key: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for key, resolvers in _Loader.yaml_implicit_resolvers.items()
}
