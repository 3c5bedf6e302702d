"""What changes from one plan to the next, and what that saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from rerank_toolkit.contracts.plan import Deployment, Plan, Variant

HEADER = ("region", "price_date", "workload", "network", "operations")

OPENED = {"stack", "name", "scaling", "variants", "expected"}
"""Fields that are no line: what names the whole, what is looked into, and what the bill tells."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    stack: str
    field: str
    """Empty where the whole stack comes or goes."""
    before: str | None
    after: str | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    changes: list[Change]
    before: Decimal | None
    """Dollars a month of the old plan, as it says itself; None where a deployment in it has no cost."""
    after: Decimal | None

    @property
    def saves(self) -> Decimal | None:
        return None if self.before is None or self.after is None else self.before - self.after


def compare_plans(old: Plan, new: Plan) -> Difference:
    """What changes for each stack by name, and what that saves."""
    before = {deployment.stack: deployment for deployment in old.deployments}
    after = {deployment.stack: deployment for deployment in new.deployments}
    changes = [*_changes("", _shown(old, HEADER), _shown(new, HEADER))]
    for stack in dict.fromkeys([*before, *after]):
        was, is_ = before.get(stack), after.get(stack)
        if was is None or is_ is None:
            changes.append(Change(stack=stack, field="", before=_summary(was), after=_summary(is_)))
        else:
            changes += _changes(stack, _fields(was), _fields(is_))
    return Difference(changes=changes, before=monthly_cost(old), after=monthly_cost(new))


def monthly_cost(of: Plan) -> Decimal | None:
    costs = [deployment.expected.monthly_cost for deployment in of.deployments]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


def _changes(stack: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for field in dict.fromkeys([*before, *after]):
        was, is_ = before.get(field), after.get(field)
        if was != is_:
            yield Change(stack=stack, field=field, before=was, after=is_)


def _fields(served: Deployment | Variant) -> dict[str, str]:
    """Every field with its value; of scaling and variants those within."""
    names = [name for name in served.__struct_fields__ if name not in OPENED]
    fields = _shown(served, names)
    if served.scaling is not None:
        within = [name for name in served.scaling.__struct_fields__ if name != "formula"]
        fields |= {f"scaling.{name}": value for name, value in _shown(served.scaling, within).items()}
    for variant in served.variants if isinstance(served, Deployment) else ():
        fields |= {f"variants.{variant.name}.{name}": value for name, value in _fields(variant).items()}
    return fields


def _summary(deployment: Deployment | None) -> str | None:
    if deployment is None:
        return None
    place = deployment.instance or f"serverless {deployment.memory_mb} MB"
    return f"{deployment.model} on {f'{deployment.count} × ' if deployment.instance else ''}{place}"


def _shown(struct: msgspec.Struct, names: Sequence[str]) -> dict[str, str]:
    """What there is of these fields, as text."""
    values = {name: getattr(struct, name) for name in names}
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode().strip('"')
