"""A CloudFormation template, as far as a bill follows from it."""

from __future__ import annotations

from typing import Any

import msgspec

from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault, collect_faults


class Parameter(msgspec.Struct, frozen=True):
    type: str = msgspec.field(name="Type")
    default: Any = msgspec.field(name="Default", default=None)


class Resource(msgspec.Struct, frozen=True):
    type: str = msgspec.field(name="Type")
    properties: dict[str, Any] = msgspec.field(name="Properties", default_factory=dict)
    condition: str | None = msgspec.field(name="Condition", default=None)


class Body(msgspec.Struct, frozen=True):
    """The parts of a template that are looked at."""

    resources: dict[str, Resource] = msgspec.field(name="Resources")
    parameters: dict[str, Parameter] = msgspec.field(name="Parameters", default_factory=dict)
    conditions: dict[str, Any] = msgspec.field(name="Conditions", default_factory=dict)
    mappings: dict[str, dict[str, dict[str, Any]]] = msgspec.field(name="Mappings", default_factory=dict)


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """Of one stack."""

    stack: str
    region: str
    source: str
    """Where it was read, for messages."""
    body: Body
    values: dict[str, str] = {}
    """Of its parameters, where they are known to differ from their defaults: those of a deployed stack."""


def placed(error: InvalidInput) -> list[Fault]:
    """The faults of one template among those of others."""
    return [
        Fault(": ".join(filter(None, [error.what, fault.field])), fault.message, fault.type) for fault in error.faults
    ]


def decode_template(text: bytes | str, *, name: str) -> Body:
    """Raises InvalidInput with every fault of the template; `name` says whose it is."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        told = f"is not JSON: {error}; expected a template as `cdk synth` leaves it in cdk.out"
        raise InvalidInput(name, [Fault("", told, "not_json")]) from None
    return convert_template(document, name=name)


def convert_template(document: object, *, name: str) -> Body:
    """The same of what was decoded already."""
    if faults := collect_faults(document, Body):
        raise InvalidInput(name, faults)
    return msgspec.convert(document, Body)
