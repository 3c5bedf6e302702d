"""A resource's properties, read by type: what is malformed becomes a fault, what can't be known an Unknown."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cost_model.prices.book import Unknown
from cost_model.templates.template import Resource
from rerank_toolkit.contracts.faults import Fault


class Properties:
    """Of a resource, or of a part of them."""

    def __init__(self, given: Mapping[str, Any], field: str, faults: list[Fault]) -> None:
        self._given = given
        self._field = field
        self._faults = faults

    @classmethod
    def of(cls, name: str, resource: Resource, faults: list[Fault]) -> Properties:
        """Those of the resource with that logical id."""
        return cls(resource.properties, f"Resources.{name}.Properties", faults)

    def has(self, name: str) -> bool:
        return name in self._given

    def text(self, name: str, *, default: str | None = None) -> str | Unknown:
        value = self._given.get(name, default)
        if isinstance(value, str | Unknown):
            return value
        return self._fault(name, "is missing" if value is None else f"is {value!r:.60}; expected a text")

    def whole(self, name: str, *, default: int | None = None) -> Decimal | Unknown:
        """A whole number of at least 0; CloudFormation takes it as a text too."""
        value = self._given.get(name, default)
        if isinstance(value, Unknown):
            return value
        if isinstance(value, str) and "${" in value:
            return Unknown(f"{name} is {value}, which CloudFormation alone knows")
        if isinstance(value, int | str) and not isinstance(value, bool) and str(value).isdecimal():
            return Decimal(value)
        return self._fault(name, "is missing" if value is None else f"is {value!r:.60}; expected a whole number")

    def part(self, name: str) -> Properties | Unknown | None:
        """An object among them; None where there is none."""
        value = self._given.get(name)
        if value is None or isinstance(value, Unknown):
            return value
        if isinstance(value, Mapping):
            return Properties(value, f"{self._field}.{name}", self._faults)
        return self._fault(name, f"is {value!r:.60}; expected an object")

    def count(self, name: str) -> Decimal | Unknown:
        """How many items a list among them has."""
        value = self._given.get(name, [])
        if isinstance(value, Unknown):
            return value
        if isinstance(value, list):
            return Decimal(len(value))
        return self._fault(name, f"is {value!r:.60}; expected a list")

    def parts(self, name: str) -> list[Properties] | Unknown:
        """A list of objects among them; empty where there is none."""
        value = self._given.get(name, [])
        if isinstance(value, Unknown):
            return value
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            return self._fault(name, f"is {value!r:.60}; expected a list of objects")
        return [Properties(item, f"{self._field}.{name}[{at}]", self._faults) for at, item in enumerate(value)]

    def _fault(self, name: str, told: str) -> Unknown:
        self._faults.append(Fault(f"{self._field}.{name}", told, "malformed"))
        return Unknown(f"{name} {told}")
