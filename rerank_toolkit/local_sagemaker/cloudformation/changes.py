"""What a deploy would change, told without changing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.intrinsics import resolve
from rerank_toolkit.local_sagemaker.cloudformation.resources import find_type
from rerank_toolkit.local_sagemaker.cloudformation.stacks import Change, Resource
from rerank_toolkit.local_sagemaker.cloudformation.template import Template
from rerank_toolkit.local_sagemaker.cloudformation.values import Values


def changed_properties(old: Mapping[str, Any], new: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name in {*old, *new} if old.get(name) != new.get(name))


def compare(existing: dict[str, Resource], template: Template, values: Values) -> tuple[Change, ...]:
    """Additions, modifications and removals that bring `existing` to `template`.

    `values` must look at `existing` itself and stand in for what is absent: a resource that is to be replaced is taken
    out of it, so that those depending on it show as modified.
    """
    changes: list[Change] = []
    standing = dict(existing)
    for definition in template.resources.values():
        if definition.condition and not values.condition(definition.condition):
            continue
        old = standing.pop(definition.logical_id, None)
        properties = resolve(definition.properties, values)
        if old is None or old.status == "CREATE_FAILED":
            changes.append(Change("Add", definition.logical_id, None, definition.type, None, ()))
            continue
        changed = changed_properties(old.properties, properties)
        if not changed and old.type == definition.type:
            continue
        replaced = old.type != definition.type or find_type(definition.type).replaces(old.properties, properties)
        if replaced:
            existing.pop(definition.logical_id)
        changes.append(
            Change(
                "Modify",
                definition.logical_id,
                old.physical_id,
                definition.type,
                "True" if replaced else "False",
                tuple(sorted(changed)),
            )
        )
    changes.extend(
        Change("Remove", resource.logical_id, resource.physical_id, resource.type, None, ())
        for resource in reversed(standing.values())
    )
    return tuple(changes)
