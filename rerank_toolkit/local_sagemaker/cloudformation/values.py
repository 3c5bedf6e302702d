"""What the names in a template mean for one stack at one moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.intrinsics import NO_VALUE, TemplateError, as_text, resolve
from rerank_toolkit.local_sagemaker.cloudformation.resources import is_recorded_only
from rerank_toolkit.local_sagemaker.cloudformation.stacks import Desired, Resource
from rerank_toolkit.local_sagemaker.cloudformation.template import Template

KNOWN_AFTER_APPLY = "{{changeSet:KNOWN_AFTER_APPLY}}"
"""What CloudFormation shows in a change set for a value that a resource yet to be made will have."""

SSM_VALUE = "AWS::SSM::Parameter::Value<"
PARTITION = "aws"


class Values:
    """A `Scope` over a stack's parameters and the resources that exist so far."""

    def __init__(
        self,
        template: Template,
        *,
        parameters: Mapping[str, Any],
        pseudo_parameters: Mapping[str, Any],
        resources: Mapping[str, Resource],
        exports: Callable[[], Mapping[str, Any]],
        zones: Callable[[str], list[str]],
        absent: str | None = None,
    ) -> None:
        """`absent` stands in for what a resource that doesn't exist yet will have; None makes it an error."""
        self._template = template
        self._parameters = {**pseudo_parameters, **parameters}
        self._resources = resources
        self._exports = exports
        self._zones = zones
        self._absent = absent
        self._conditions: dict[str, bool] = {}
        self.imports: set[str] = set()

    def ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._parameters:
            return self._parameters[name]
        if name in self._resources:
            return self._resources[name].physical_id
        return self._missing(name)

    def attribute(self, resource: str, name: str) -> Any:
        if resource not in self._resources:
            return self._missing(f"{resource}.{name}")
        existing = self._resources[resource]
        attributes = existing.attributes
        if name in attributes:
            return attributes[name]
        if is_recorded_only(existing.type):
            return self._not_made(existing, name)
        if self._absent is not None:
            return self._absent
        known = ", ".join(sorted(attributes)) or "none"
        raise TemplateError(
            f"Template error: resource {resource} ({existing.type}) has no attribute {name} here; known are {known}"
        )

    def _not_made(self, resource: Resource, name: str) -> str:
        """A stand-in that is of the right form, for IAM looks at the ARNs in a policy."""
        if not name.endswith("Arn"):
            return f"not-made.{resource.physical_id}.{name}"
        service = resource.type.split("::")[1].lower()
        region, account = self._parameters["AWS::Region"], self._parameters["AWS::AccountId"]
        return f"arn:{PARTITION}:{service}:{region}:{account}:not-made/{resource.physical_id}"

    def condition(self, name: str) -> bool:
        if name not in self._conditions:
            if name not in self._template.conditions:
                raise TemplateError(f"Template error: condition {name} is not defined")
            value = resolve(self._template.conditions[name], self)
            if not isinstance(value, bool):
                raise TemplateError(f"Template error: condition {name} is {value!r}, not true or false")
            self._conditions[name] = value
        return self._conditions[name]

    def mapping(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        if name not in self._template.mappings:
            raise TemplateError(f"Template error: mapping {name} is not defined")
        mapping: Mapping[str, Mapping[str, Any]] = self._template.mappings[name]
        return mapping

    def imported(self, export: str) -> str:
        exports = self._exports()
        if export not in exports:
            raise TemplateError(f"No export named {export} found.")
        self.imports.add(export)
        return str(exports[export])

    def zones(self, region: str) -> list[str]:
        return self._zones(region or str(self._parameters["AWS::Region"]))

    def _missing(self, name: str) -> str:
        if self._absent is None:
            raise TemplateError(f"Template error: {name} refers to a resource that was not created")
        return self._absent


def resolve_parameters(desired: Desired, read_ssm: Callable[[str], str | None]) -> dict[str, Any]:
    """Values of the template's parameters. Raises TemplateError with every fault.

    `read_ssm` gives the value of an SSM parameter, or None.
    """
    definitions = desired.template.parameters
    faults: list[str] = []
    values: dict[str, Any] = {}
    missing = [name for name, entry in definitions.items() if name not in desired.parameters and "Default" not in entry]
    if missing:
        faults.append(f"Parameters: [{', '.join(missing)}] must have values")
    if unknown := sorted(set(desired.parameters) - set(definitions)):
        faults.append(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    for name, entry in definitions.items():
        if name in missing:
            continue
        value = as_text(desired.parameters.get(name, entry.get("Default")))
        kind = str(entry.get("Type", "String"))
        allowed = [as_text(item) for item in entry.get("AllowedValues", ())]
        if allowed and value not in allowed:
            faults.append(f"Parameter '{name}' must be one of AllowedValues: {', '.join(allowed)}; it is {value!r}")
        if kind.startswith(SSM_VALUE):
            looked_up = read_ssm(value)
            if looked_up is None:
                faults.append(f"Unable to fetch parameters [{value}] from parameter store for this account.")
                continue
            value, kind = looked_up, kind.removeprefix(SSM_VALUE).removesuffix(">")
        if kind == "Number" and not _is_number(value):
            faults.append(f"Parameter '{name}' must be a number; it is {value!r}")
        is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
        values[name] = [item.strip() for item in value.split(",")] if is_list else value
    if faults:
        raise TemplateError("; ".join(faults))
    return values


def check_rules(template: Template, values: Values) -> None:
    """Raises TemplateError with the description of every assertion in Rules that doesn't hold."""
    failed = [
        str(assertion.get("AssertDescription", f"an assertion of rule {name} does not hold"))
        for name, rule in template.rules.items()
        if "RuleCondition" not in rule or resolve(rule["RuleCondition"], values)
        for assertion in rule.get("Assertions", ())
        if not resolve(assertion["Assert"], values)
    ]
    if failed:
        raise TemplateError(f"Template validation error: {'; '.join(failed)}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
