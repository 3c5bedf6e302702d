"""Brings a stack to what is desired, and back again if that fails.

A deploy walks the template in dependency order and converges one resource after the other. Whatever it did is
remembered with how to undo it; what was replaced or dropped is deleted last, when nothing can fail any more:

    converge ──ok──► outputs ──ok──► delete what was replaced or dropped ──► COMPLETE
        │               │
        └──────failed───┴──► undo, last first ──► ROLLBACK_COMPLETE
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.cloudformation.changes import changed_properties
from rerank_toolkit.local_sagemaker.cloudformation.intrinsics import TemplateError, as_text, resolve
from rerank_toolkit.local_sagemaker.cloudformation.lookups import Lookups
from rerank_toolkit.local_sagemaker.cloudformation.resources import find_type
from rerank_toolkit.local_sagemaker.cloudformation.resources.base import Request, ResourceFailed
from rerank_toolkit.local_sagemaker.cloudformation.stacks import Desired, Output, Resource, Stack, StackStore, now
from rerank_toolkit.local_sagemaker.cloudformation.template import ResourceDefinition
from rerank_toolkit.local_sagemaker.cloudformation.values import Values

logger = logging.getLogger(__name__)

_EXPECTED_FAILURES = (ResourceFailed, TemplateError, ClientError, BotoCoreError)


class _Failed(Exception):
    """The step that just ran failed; events tell which and why."""


@dataclass(frozen=True)
class Undo:
    """How to take back one step of a deploy."""

    logical_id: str
    run: Callable[[], None]


@dataclass
class Journal:
    """What a deploy has done so far."""

    undo: list[Undo] = field(default_factory=list)
    garbage: list[Resource] = field(default_factory=list)
    """Replaced or dropped, to be deleted when nothing can fail any more."""


class Executor:
    """Runs operations on stacks, one at a time for each stack. Failures end up in the stack's status and events."""

    def __init__(self, clients: Clients, store: StackStore, lookups: Lookups, *, region: str, account: str) -> None:
        self._clients = clients
        self._store = store
        self._lookups = lookups
        self._region = region
        self._account = account

    def create(self, stack: Stack) -> None:
        """Makes everything in `stack.desired`; ends in CREATE_COMPLETE, or ROLLBACK_COMPLETE with nothing left."""
        stack.set_status("CREATE_IN_PROGRESS", "User Initiated")
        journal = Journal()
        try:
            self._converge(stack, journal)
        except _Failed:
            if stack.desired.disable_rollback:
                stack.set_status("CREATE_FAILED", _summarize(stack, "create"))
                return
            stack.set_status("ROLLBACK_IN_PROGRESS", f"{_summarize(stack, 'create')} Rollback requested by user.")
            stack.set_status("ROLLBACK_COMPLETE" if self._roll_back(stack, journal) else "ROLLBACK_FAILED")
            return
        stack.set_status("CREATE_COMPLETE")

    def update(self, stack: Stack, desired: Desired, *, complete: bool) -> None:
        """Brings `stack` to `desired`; ends in UPDATE_COMPLETE, or as it was before in UPDATE_ROLLBACK_COMPLETE: in
        UPDATE_FAILED if it was not `complete` before."""
        before = stack.desired, stack.outputs, stack.imports
        previous = dict(stack.resources)
        stack.desired = desired
        stack.updated = now()
        stack.set_status("UPDATE_IN_PROGRESS", "User Initiated")
        journal = Journal()
        try:
            self._converge(stack, journal)
        except _Failed:
            if desired.disable_rollback:
                stack.leftover += journal.garbage
                stack.set_status("UPDATE_FAILED", _summarize(stack, "update"))
                return
            stack.set_status("UPDATE_ROLLBACK_IN_PROGRESS", _summarize(stack, "update"))
            rolled_back = self._roll_back(stack, journal)
            stack.leftover += [resource for name, resource in stack.resources.items() if name not in previous]
            stack.resources = {name: stack.resources[name] for name in previous if name in stack.resources}
            stack.desired, stack.outputs, stack.imports = (replace(before[0], token=desired.token), *before[1:])
            if not rolled_back:
                stack.set_status("UPDATE_ROLLBACK_FAILED")
            elif not complete:
                stack.set_status("UPDATE_FAILED", "The stack is as it was before this update: not complete.")
            else:
                stack.set_status("UPDATE_ROLLBACK_COMPLETE")
            return
        order = list(previous)
        garbage = sorted(journal.garbage, key=lambda resource: -order.index(resource.logical_id)) + stack.leftover
        if garbage:
            stack.set_status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        stack.leftover = [resource for resource in garbage if not self._delete(stack, resource)]
        stack.set_status("UPDATE_COMPLETE")

    def delete(self, stack: Stack) -> None:
        """Removes the stack's resources but the retained; ends in DELETE_COMPLETE or DELETE_FAILED."""
        stack.set_status("DELETE_IN_PROGRESS", "User Initiated")
        failed = []
        for resource in reversed(list(stack.resources.values())):
            if resource.retained_on_delete:
                stack.record(resource.having("DELETE_SKIPPED"))
                del stack.resources[resource.logical_id]
            elif self._delete(stack, resource):
                del stack.resources[resource.logical_id]
            else:
                failed.append(resource.logical_id)
        stack.leftover = [resource for resource in stack.leftover if not self._delete(stack, resource)]
        failed += [resource.logical_id for resource in stack.leftover]
        if failed:
            stack.set_status("DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}].")
            return
        stack.outputs, stack.imports = (), frozenset()
        stack.deleted = now()
        stack.set_status("DELETE_COMPLETE")

    def _converge(self, stack: Stack, journal: Journal) -> None:
        try:
            values = self._lookups.values(stack, stack.desired, stack.resources)
            standing = dict(stack.resources)
            ordered: dict[str, Resource] = {}
            for definition in stack.desired.template.resources.values():
                if definition.condition and not values.condition(definition.condition):
                    continue
                old = standing.pop(definition.logical_id, None)
                self._converge_resource(definition, old, values, journal, stack=stack)
                ordered[definition.logical_id] = stack.resources[definition.logical_id]
            outputs = self._outputs(stack, values)
        except TemplateError as error:
            stack.set_status(stack.status, str(error))
            raise _Failed from None
        for resource in standing.values():
            if not resource.retained_on_delete:
                journal.garbage.append(resource)
            else:
                stack.record(resource.having("DELETE_SKIPPED"))
        stack.resources, stack.outputs, stack.imports = ordered, outputs, frozenset(values.imports)

    def _converge_resource(
        self,
        definition: ResourceDefinition,
        old: Resource | None,
        values: Values,
        journal: Journal,
        *,
        stack: Stack,
    ) -> None:
        properties = self._guard(stack, definition, old, lambda: resolve(definition.properties, values))
        if old is not None and old.status == "CREATE_FAILED":  # it must go first: the new one may have its name
            del stack.resources[old.logical_id]
            if not self._delete(stack, old):
                stack.leftover.append(old)
            old = None
        if old is None:
            self._create(stack, definition, properties, None, journal)
            return
        changed = changed_properties(old.properties, properties)
        kind = find_type(definition.type)
        if old.type != definition.type or kind.replaces(old.properties, properties):
            try:
                self._create(stack, definition, properties, old, journal)
            finally:  # a replacement that failed may be there as well
                replaced = stack.resources[old.logical_id].physical_id != old.physical_id
                if replaced and not definition.retained_on_replace:
                    journal.garbage.append(old)
        elif changed:
            desired = replace(old, properties=properties, retained_on_delete=definition.retained_on_delete)

            def undo() -> None:
                """From what was attempted, which may stand in part even if the update failed."""
                attempted = replace(stack.resources[old.logical_id], properties=properties)
                self._update(stack, attempted, old)

            journal.undo.append(Undo(definition.logical_id, undo))
            self._guard(stack, definition, old, lambda: self._update(stack, old, desired))
        else:
            stack.resources[old.logical_id] = replace(old, retained_on_delete=definition.retained_on_delete)

    def _create(
        self,
        stack: Stack,
        definition: ResourceDefinition,
        properties: Mapping[str, Any],
        old: Resource | None,
        journal: Journal,
    ) -> None:
        """Makes the resource; with `old`, in its place, which then still exists and is not yet deleted."""
        verb = "CREATE" if old is None else "UPDATE"
        kind = find_type(definition.type)
        pending = Resource(
            logical_id=definition.logical_id,
            type=definition.type,
            physical_id="" if old is None else old.physical_id,
            properties=properties,
            attributes={},
            status=f"{verb}_IN_PROGRESS",
            reason=None if old is None else "Requested update requires the creation of a new physical resource.",
            retained_on_delete=definition.retained_on_delete,
        )
        stack.record(pending)
        pending = replace(pending, physical_id="")

        def take_back() -> None:
            current = stack.resources.pop(definition.logical_id, None)
            if old is not None:
                stack.resources[definition.logical_id] = old
            if current is None or (old is not None and current.physical_id == old.physical_id):
                return
            if old is None and definition.retained_on_rollback:
                stack.record(current.having("DELETE_SKIPPED"))
            elif not self._delete(stack, current):
                if old is None:
                    stack.resources[definition.logical_id] = current.having("DELETE_FAILED")
                else:
                    stack.leftover.append(current)
                raise _Failed

        journal.undo.append(Undo(definition.logical_id, take_back))

        def make() -> None:
            try:
                made = kind.create(self._request(stack, pending))
            except ResourceFailed as error:
                if error.made:
                    stack.resources[definition.logical_id] = replace(
                        pending, physical_id=error.made.physical_id, attributes=error.made.attributes
                    )
                raise
            stack.put(
                replace(
                    pending,
                    physical_id=made.physical_id,
                    attributes=made.attributes,
                    status=f"{verb}_COMPLETE",
                    reason=kind.remark,
                    updated=now(),
                )
            )

        self._guard(stack, definition, old, make)

    def _update(self, stack: Stack, current: Resource, desired: Resource) -> None:
        """Changes `current` in place to have the properties of `desired`."""
        kind = find_type(desired.type)
        stack.put(current.having("UPDATE_IN_PROGRESS"))
        request = self._request(stack, replace(desired, physical_id=current.physical_id), current.properties)
        attributes = kind.update_in_place(request)
        stack.put(
            replace(
                desired,
                attributes={**desired.attributes, **attributes},
                status="UPDATE_COMPLETE",
                reason=kind.remark,
                updated=now(),
            )
        )

    def _delete(self, stack: Stack, resource: Resource) -> bool:
        """True if it is gone; a failure is in the events."""
        stack.record(resource.having("DELETE_IN_PROGRESS"))
        try:
            if resource.physical_id:
                find_type(resource.type).delete(self._request(stack, resource))
        except Exception as error:  # whatever it is, the stack's other resources must still go
            if not isinstance(error, _EXPECTED_FAILURES):
                logger.exception("deleting %s of stack %s", resource.logical_id, stack.name)
            failed = resource.having("DELETE_FAILED", str(error))
            stack.record(failed)
            return False
        stack.record(resource.having("DELETE_COMPLETE"))
        return True

    def _roll_back(self, stack: Stack, journal: Journal) -> bool:
        complete = True
        for step in reversed(journal.undo):
            try:
                step.run()
            except _Failed:  # which the events tell
                complete = False
            except Exception as error:  # one step that can't be undone must not keep the others from being
                complete = False
                if not isinstance(error, _EXPECTED_FAILURES):
                    logger.exception("undoing %s of stack %s", step.logical_id, stack.name)
                if resource := stack.resources.get(step.logical_id):
                    stack.put(resource.having("UPDATE_FAILED", str(error) or resource.reason))
        return complete

    def _guard(
        self, stack: Stack, definition: ResourceDefinition, old: Resource | None, step: Callable[[], Any]
    ) -> Any:
        """Runs the step; if it fails, records the resource as failed and raises _Failed. A replacement of `old` that
        is there but failed is CREATE_FAILED: the next deploy must make it anew."""
        try:
            return step()
        except (
            Exception
        ) as error:  # a defect of ours must end the deploy with an event, not leave it in progress for ever
            if not isinstance(error, _EXPECTED_FAILURES):
                logger.exception("%s of stack %s", definition.logical_id, stack.name)
            current = stack.resources.get(definition.logical_id)
            new = old is None or old.status == "CREATE_FAILED" or (current and current.physical_id != old.physical_id)
            verb = "CREATE" if new else "UPDATE"
            failed = current or Resource(
                definition.logical_id, definition.type, "", {}, {}, f"{verb}_FAILED", definition.retained_on_delete
            )
            failed = failed.having(f"{verb}_FAILED", str(error))
            if current is not None:
                stack.put(failed)
            else:
                stack.record(failed)
            raise _Failed from None

    def _outputs(self, stack: Stack, values: Values) -> tuple[Output, ...]:
        outputs = []
        taken = {name: owner for name, (owner, _) in self._store.exports().items() if owner is not stack}
        for key, entry in stack.desired.template.outputs.items():
            if "Condition" in entry and not values.condition(entry["Condition"]):
                continue
            export = resolve(entry["Export"]["Name"], values) if "Export" in entry else None
            if export in taken:
                raise TemplateError(f"Export with name {export} is already exported by stack {taken[export].name}")
            outputs.append(Output(key, as_text(resolve(entry["Value"], values)), entry.get("Description"), export))
        dropped = {old.export for old in stack.outputs if old.export} - {output.export for output in outputs}
        for export in sorted(dropped):
            users = [user.name for user in self._store.importers(export) if user is not stack]
            if users:
                raise TemplateError(f"Export {export} cannot be deleted as it is in use by {', '.join(users)}")
        return tuple(outputs)

    def _request(self, stack: Stack, resource: Resource, previous: Mapping[str, Any] | None = None) -> Request:
        return Request(
            clients=self._clients,
            stack=stack.name,
            logical_id=resource.logical_id,
            region=self._region,
            account=self._account,
            properties=resource.properties,
            physical_id=resource.physical_id,
            attributes=resource.attributes,
            previous=previous or {},
        )


def _summarize(stack: Stack, verb: str) -> str:
    failed = [name for name, resource in stack.resources.items() if resource.status.endswith("_FAILED")]
    for event in reversed(stack.events):
        if event.status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS") and event.physical_id == stack.id:
            break
        if event.status.endswith("_FAILED") and event.logical_id not in failed:
            failed.append(event.logical_id)
    if failed:
        return f"The following resource(s) failed to {verb}: [{', '.join(failed)}]."
    return stack.reason or f"The {verb} failed."
