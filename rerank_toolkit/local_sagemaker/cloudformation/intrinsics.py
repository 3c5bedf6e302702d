"""CloudFormation's intrinsic functions.

`resolve` walks a value of a template and replaces each function by its result. What a function may refer to
(parameters, resources, exports) is asked of a `Scope`, so the same walk serves conditions before there is any
resource, properties during a deploy, and outputs after it.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol


class TemplateError(ValueError):
    """The template, or a parameter value given with it, is at fault."""


class _NoValue:
    """What AWS::NoValue stands for: the property as if it had not been written."""


NO_VALUE = _NoValue()

_PLACEHOLDER = re.compile(r"\$\{(?P<literal>!)?(?P<name>[^{}]*)\}")


class Scope(Protocol):
    """What the functions refer to; each method raises TemplateError for a name it doesn't know."""

    def ref(self, name: str) -> Any:
        """Value of a parameter, pseudo-parameter, or physical id of a resource."""

    def attribute(self, resource: str, name: str) -> Any: ...

    def condition(self, name: str) -> bool: ...

    def mapping(self, name: str) -> Mapping[str, Mapping[str, Any]]: ...

    def imported(self, export: str) -> str: ...

    def zones(self, region: str) -> list[str]:
        """Availability zones of the region; of the stack's own, if that is empty."""


def resolve(value: Any, scope: Scope) -> Any:
    """`value` with all functions applied. Raises TemplateError for one that is unknown or malformed."""
    match value:
        case {"Ref": name} if len(value) == 1:
            return scope.ref(name)
        case {"Condition": name} if len(value) == 1 and isinstance(name, str):
            return scope.condition(name)
        case dict() if len(value) == 1 and next(iter(value)).startswith("Fn::"):
            ((function, argument),) = value.items()
            apply = _FUNCTIONS.get(function)
            if apply is None:
                known = ", ".join(sorted(_FUNCTIONS))
                raise TemplateError(f"{function} is not provided by the local AWS; it has {known}")
            try:
                return apply(argument, scope)
            except (TypeError, ValueError, IndexError, AttributeError) as error:
                if isinstance(error, TemplateError):
                    raise
                raise TemplateError(f"{function} can't be applied to {argument!r}: {error}") from None
        case dict():
            resolved = {name: resolve(item, scope) for name, item in value.items()}
            return {name: item for name, item in resolved.items() if item is not NO_VALUE}
        case list():
            return [item for item in (resolve(item, scope) for item in value) if item is not NO_VALUE]
        case _:
            return value


def as_text(value: Any) -> str:
    """A value as CloudFormation writes it into text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def references(value: Any) -> Iterator[str]:
    """Names that Ref, Fn::GetAtt and Fn::Sub in `value` refer to: parameters and resources alike."""
    match value:
        case {"Ref": str(name)} if len(value) == 1:
            yield name
        case {"Fn::GetAtt": argument} if len(value) == 1:
            yield _split_attribute(argument)[0]
        case {"Fn::Sub": argument} if len(value) == 1:
            text, variables = _split_sub(argument)
            for match in _PLACEHOLDER.finditer(text):
                name = match["name"].strip()
                if not match["literal"] and name not in variables:
                    yield name.partition(".")[0]
            yield from references(variables)
        case dict():
            for item in value.values():
                yield from references(item)
        case list():
            for item in value:
                yield from references(item)


def _get_att(argument: Any, scope: Scope) -> Any:
    resource, name = _split_attribute(argument)
    return scope.attribute(resource, resolve(name, scope))


def _split_attribute(argument: Any) -> tuple[str, Any]:
    if isinstance(argument, str):
        resource, _, name = argument.partition(".")
        return resource, name
    resource, name = argument
    return resource, name


def _split_sub(argument: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(argument, str):
        return argument, {}
    text, variables = argument
    return text, variables


def _sub(argument: Any, scope: Scope) -> str:
    text, variables = _split_sub(argument)

    def replace(match: re.Match[str]) -> str:
        name = match["name"].strip()
        if match["literal"]:
            return f"${{{match['name']}}}"
        if name in variables:
            return as_text(resolve(variables[name], scope))
        resource, dot, attribute = name.partition(".")
        return as_text(scope.attribute(resource, attribute) if dot else scope.ref(name))

    return _PLACEHOLDER.sub(replace, text)


def _join(argument: Any, scope: Scope) -> str:
    delimiter, parts = argument
    return str(delimiter).join(as_text(part) for part in _items(parts, scope))


def _select(argument: Any, scope: Scope) -> Any:
    index, items = argument
    position, found = int(resolve(index, scope)), _items(items, scope)
    if not 0 <= position < len(found):
        raise TemplateError(f"Fn::Select can't be applied: {position} is not in the list of {len(found)}")
    return found[position]


def _split(argument: Any, scope: Scope) -> list[str]:
    delimiter, text = argument
    return str(resolve(text, scope)).split(delimiter)


def _if(argument: Any, scope: Scope) -> Any:
    name, then, otherwise = argument
    return resolve(then if scope.condition(name) else otherwise, scope)


def _find_in_map(argument: Any, scope: Scope) -> Any:
    name, first, second = (resolve(item, scope) for item in argument[:3])
    try:
        return scope.mapping(name)[str(first)][str(second)]
    except KeyError as error:
        match argument[3:]:
            case [{"DefaultValue": default}]:
                return resolve(default, scope)
        raise TemplateError(f"Fn::FindInMap: map {name} has no entry {error} for {first}, {second}") from None


def _items(value: Any, scope: Scope) -> Sequence[Any]:
    resolved = resolve(value, scope)
    if isinstance(resolved, str):  # a CommaDelimitedList that came as its text
        return resolved.split(",")
    if not isinstance(resolved, list):
        raise TemplateError(f"{resolved!r} is not a list")
    return resolved


def _equals(argument: Any, scope: Scope) -> bool:
    left, right = (resolve(item, scope) for item in argument)
    return as_text(left) == as_text(right)


def _truth(value: Any, scope: Scope) -> bool:
    resolved = resolve(value, scope)
    if not isinstance(resolved, bool):
        raise TemplateError(f"{value!r} is not a condition")
    return resolved


def _contains(argument: Any, scope: Scope) -> bool:
    items, wanted = argument
    return as_text(resolve(wanted, scope)) in [as_text(item) for item in _items(items, scope)]


def _base64(argument: Any, scope: Scope) -> str:
    return base64.b64encode(as_text(resolve(argument, scope)).encode()).decode()


def _cidr(argument: Any, scope: Scope) -> list[str]:
    """So many subnets of a block, each with so many bits for its hosts."""
    block, count, *bits = (resolve(item, scope) for item in argument)
    network = ipaddress.ip_network(block)
    prefix = network.max_prefixlen - (int(bits[0]) if bits else 8)
    if not network.prefixlen <= prefix <= network.max_prefixlen or int(count) > 2 ** (prefix - network.prefixlen):
        raise TemplateError(f"Fn::Cidr: {block} does not hold {count} subnets of size /{prefix}")
    subnets = network.subnets(new_prefix=prefix)
    return [str(next(subnets)) for _ in range(int(count))]


_FUNCTIONS: Mapping[str, Callable[[Any, Scope], Any]] = {
    "Fn::And": lambda argument, scope: all(_truth(item, scope) for item in argument),
    "Fn::Base64": _base64,
    "Fn::Cidr": _cidr,
    "Fn::Contains": _contains,
    "Fn::Equals": _equals,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAZs": lambda argument, scope: scope.zones(str(resolve(argument, scope))),
    "Fn::GetAtt": _get_att,
    "Fn::If": _if,
    "Fn::ImportValue": lambda argument, scope: scope.imported(resolve(argument, scope)),
    "Fn::Join": _join,
    "Fn::Not": lambda argument, scope: not _truth(argument[0], scope),
    "Fn::Or": lambda argument, scope: any(_truth(item, scope) for item in argument),
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": _sub,
}
