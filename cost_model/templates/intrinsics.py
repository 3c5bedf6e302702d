"""A template's intrinsic functions, worked out as far as a bill needs them.

What only CloudFormation knows stays a text with its reference in it, such as `${Config.EndpointConfigName}`: enough to
find which resource is meant, and to read what stands around it. What can't be a text is an Unknown with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cost_model.prices.book import Unknown
from cost_model.templates.template import Resource, Template
from rerank_toolkit.contracts.faults import Fault

Value = Any
"""JSON, with Unknown in place of what can't be known."""

MOST_NESTED = 100
"""Functions within functions; more is a condition that refers to itself."""

_REFERENCE = re.compile(r"\$\{(\w+)(?:\.[\w.]+)?\}")
_VARIABLE = re.compile(r"\$\{(!?)([\w.:]+)\}")


class _Absent:
    """AWS::NoValue: what has it is as if it were not there."""


ABSENT = _Absent()


def referenced(value: Value) -> str | None:
    """The logical id of the one resource that the value is a reference to."""
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else None


class Resolver:
    """The values of one template. What is malformed is collected in `faults`, by where it stands."""

    def __init__(self, template: Template) -> None:
        self.faults: list[Fault] = []
        self._template = template
        self._body = template.body
        self._depth = 0
        self._functions: Mapping[str, Callable[[Value, str], Value]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Join": self._join,
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::ImportValue": self._import,
        }

    def resources(self) -> dict[str, Resource]:
        """Those whose conditions hold, with their properties worked out."""
        kept: dict[str, Resource] = {}
        for name, resource in self._body.resources.items():
            field = f"Resources.{name}"
            if resource.condition is not None and self._condition(resource.condition, f"{field}.Condition") is False:
                continue
            properties = {
                key: value
                for key, given in resource.properties.items()
                if (value := self.value(given, f"{field}.Properties.{key}")) is not ABSENT
            }
            kept[name] = Resource(type=resource.type, properties=properties, condition=resource.condition)
        return kept

    def value(self, given: Value, field: str) -> Value:
        """`given` with its functions worked out; `field` says where it stands."""
        if isinstance(given, list):
            items = (self.value(item, f"{field}[{at}]") for at, item in enumerate(given))
            return [item for item in items if item is not ABSENT]
        if not isinstance(given, dict):
            return given
        name = next(iter(given), "") if len(given) == 1 else ""
        if name == "Ref" or name.startswith("Fn::"):
            return self._call(name, given[name], field)
        values = {key: self.value(item, f"{field}.{key}") for key, item in given.items()}
        return {key: item for key, item in values.items() if item is not ABSENT}

    def _call(self, name: str, argument: Value, field: str) -> Value:
        function = self._functions.get(name)
        if function is None:
            return Unknown(f"{name} is known to CloudFormation alone")
        if self._depth >= MOST_NESTED:
            return self._fault(field, f"is nested more than {MOST_NESTED} times")
        self._depth += 1
        try:
            return function(argument, f"{field}.{name}")
        finally:
            self._depth -= 1

    def _fault(self, field: str, told: str) -> Unknown:
        self.faults.append(Fault(field, told, "malformed"))
        return Unknown(told)

    def _ref(self, name: Value, field: str) -> Value:
        if not isinstance(name, str):
            return self._fault(field, "is no name; expected that of a parameter or a resource")
        if name == "AWS::NoValue":
            return ABSENT
        if name == "AWS::Region":
            return self._template.region
        if name == "AWS::StackName":
            return self._template.stack
        if name.startswith("AWS::"):
            return f"${{{name}}}"
        if name in self._body.parameters:
            return self._parameter(name)
        if name in self._body.resources:
            return f"${{{name}}}"
        return self._fault(field, f"is {name!r}, which is neither a parameter nor a resource")

    def _parameter(self, name: str) -> Value:
        if name in self._template.values:
            return self._template.values[name]
        parameter = self._body.parameters[name]
        if parameter.type.startswith("AWS::SSM::Parameter::Value"):
            return Unknown(f"the parameter {name} is read from SSM at deploy time")
        if parameter.default is None:
            return Unknown(f"the parameter {name} has no default")
        return parameter.default

    def _get_att(self, given: Value, field: str) -> Value:
        parts = given.split(".", 1) if isinstance(given, str) else given
        match parts:
            case [str(name), str(attribute)]:
                if name not in self._body.resources:
                    return self._fault(field, f"names {name!r}, which is no resource")
                return f"${{{name}.{attribute}}}"
        return self._fault(field, "expected the name of a resource and that of an attribute")

    def _join(self, given: Value, field: str) -> Value:
        match given:
            case [str(delimiter), parts]:
                return self._joined(delimiter, self.value(parts, field), field)
        return self._fault(field, "expected a delimiter and a list")

    def _joined(self, delimiter: str, parts: Value, field: str) -> Value:
        if isinstance(parts, Unknown):
            return parts
        if not isinstance(parts, list):
            return self._fault(field, "expected a list of texts to join")
        unknown = next((part for part in parts if isinstance(part, Unknown)), None)
        return unknown or delimiter.join(_text(part) for part in parts)

    def _sub(self, given: Value, field: str) -> Value:
        match given:
            case str(text):
                return self._substituted(text, {}, field)
            case [str(text), dict(variables)]:
                return self._substituted(text, self.value(variables, field), field)
        return self._fault(field, "expected a text, or a text and its variables")

    def _substituted(self, text: str, variables: Mapping[str, Value], field: str) -> Value:
        parts: list[Value] = []
        end = 0
        for match in _VARIABLE.finditer(text):
            parts.append(text[end : match.start()])
            literal, name = match.groups()
            if literal:
                parts.append(f"${{{name}}}")
            elif name in variables:
                parts.append(variables[name])
            elif "." in name:
                parts.append(self._get_att(name, field))
            else:
                parts.append(self._ref(name, field))
            end = match.end()
        return self._joined("", [*parts, text[end:]], field)

    def _if(self, given: Value, field: str) -> Value:
        match given:
            case [str(name), then, otherwise]:
                holds = self._condition(name, field)
                if holds is None:
                    return Unknown(f"the condition {name} is known to CloudFormation alone")
                return self.value(then if holds else otherwise, field)
        return self._fault(field, "expected the name of a condition and two values")

    def _find_in_map(self, given: Value, field: str) -> Value:
        if not isinstance(given, list) or len(given) < 3:
            return self._fault(field, "expected the names of a mapping and of two keys")
        found: Value = self._body.mappings
        for key in self.value(given[:3], field):
            if isinstance(key, Unknown):
                return key
            if not isinstance(found, dict) or _text(key) not in found:
                return self._fault(field, f"names {key!r}, which the mapping has not")
            found = found[_text(key)]
        return found

    def _select(self, given: Value, field: str) -> Value:
        match given:
            case [at, items]:
                values = self.value(items, field)
                if isinstance(values, Unknown):
                    return values
                index = _whole(self.value(at, field))
                if isinstance(values, list) and index is not None and 0 <= index < len(values):
                    return values[index]
        return self._fault(field, "expected an index and a list that has it")

    def _split(self, given: Value, field: str) -> Value:
        match given:
            case [str(delimiter), text] if delimiter:
                value = self.value(text, field)
                return value if isinstance(value, Unknown) else _text(value).split(delimiter)
        return self._fault(field, "expected a delimiter and a text")

    def _import(self, given: Value, field: str) -> Value:
        name = self.value(given, field)
        return name if isinstance(name, Unknown) else f"${{import {_text(name)}}}"

    def _condition(self, name: str, field: str) -> bool | None:
        """Whether the named condition holds; None where that can't be known."""
        if name not in self._body.conditions:
            self._fault(field, f"is {name!r}, which is no condition")
            return None
        return self._holds(self._body.conditions[name], f"Conditions.{name}")

    def _holds(self, given: Value, field: str) -> bool | None:
        if self._depth >= MOST_NESTED:
            self._fault(field, "refers to itself")
            return None
        self._depth += 1
        try:
            match given:
                case {"Condition": str(name)}:
                    return self._condition(name, field)
                case {"Fn::Equals": [one, other]}:
                    values = [self.value(one, field), self.value(other, field)]
                    return None if any(map(_is_open, values)) else _text(values[0]) == _text(values[1])
                case {"Fn::Not": [inner]}:
                    holds = self._holds(inner, field)
                    return None if holds is None else not holds
                case {"Fn::And": list(inner)}:
                    return _all([self._holds(one, field) for one in inner])
                case {"Fn::Or": list(inner)}:
                    denied = [None if (holds := self._holds(one, field)) is None else not holds for one in inner]
                    none = _all(denied)
                    return None if none is None else not none
        finally:
            self._depth -= 1
        self._fault(field, "expected Fn::Equals, Fn::Not, Fn::And, Fn::Or or Condition")
        return None


def _all(holds: list[bool | None]) -> bool | None:
    if False in holds:
        return False
    return None if None in holds else True


def _is_open(value: Value) -> bool:
    """Whether CloudFormation alone knows the value."""
    return isinstance(value, Unknown) or (isinstance(value, str) and "${" in value)


def _text(value: Value) -> str:
    """As CloudFormation makes texts of numbers and truths."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _whole(value: Value) -> int | None:
    text = _text(value)
    return int(text) if text.isdecimal() else None
