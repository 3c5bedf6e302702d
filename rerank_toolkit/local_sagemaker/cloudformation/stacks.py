"""Records of stacks, and where they are kept. No behaviour beyond their own consistency."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.template import Template
from rerank_toolkit.local_sagemaker.protocol import ApiError


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it stands; an update makes a new record, so a rollback has the old one to return to."""

    logical_id: str
    type: str
    physical_id: str
    properties: Mapping[str, Any]
    attributes: Mapping[str, Any]
    status: str
    retained_on_delete: bool = False
    reason: str | None = None
    updated: datetime = field(default_factory=now)

    def having(self, status: str, reason: str | None = None) -> Resource:
        return replace(self, status=status, reason=reason, updated=now())


@dataclass(frozen=True, slots=True)
class Event:
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str | None
    token: str | None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    time: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class Output:
    key: str
    value: str
    description: str | None
    export: str | None


@dataclass(frozen=True)
class Desired:
    """What a stack is to become: a template and the values given with it."""

    template: Template
    parameters: Mapping[str, str]
    """As given, before SSM parameters are looked up."""
    tags: tuple[tuple[str, str], ...] = ()
    disable_rollback: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a change set."""

    action: str
    logical_id: str
    physical_id: str | None
    type: str
    replacement: str | None
    properties: tuple[str, ...]


@dataclass(frozen=True)
class ChangeSet:
    id: str
    name: str
    description: str | None
    desired: Desired
    changes: tuple[Change, ...]
    status: str
    reason: str | None = None
    created: datetime = field(default_factory=now)


@dataclass(eq=False)
class Stack:
    id: str
    name: str
    status: str
    desired: Desired
    capabilities: tuple[str, ...] = ()
    role: str | None = None
    reason: str | None = None
    termination_protection: bool = False
    created: datetime = field(default_factory=now)
    updated: datetime | None = None
    deleted: datetime | None = None
    resources: dict[str, Resource] = field(default_factory=dict)
    """By logical id, each after those that it depends on."""
    leftover: list[Resource] = field(default_factory=list)
    """No longer the stack's, but still there: what a failed update has replaced and was not to roll back, and what
    could not be deleted. Deleted by the next update that succeeds, or with the stack."""
    outputs: tuple[Output, ...] = ()
    imports: frozenset[str] = frozenset()
    events: list[Event] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    """By name."""

    @property
    def in_progress(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def set_status(self, status: str, reason: str | None = None) -> None:
        self.status, self.reason = status, reason
        token = self.desired.token
        self._append(Event(self.name, self.id, "AWS::CloudFormation::Stack", status, reason, token))

    def put(self, resource: Resource) -> None:
        """Stores the resource and records its status as an event."""
        self.resources[resource.logical_id] = resource
        self.record(resource)

    def record(self, resource: Resource) -> None:
        """The resource's status as an event, for one that is no longer or not yet the stack's."""
        self._append(
            Event(
                resource.logical_id,
                resource.physical_id,
                resource.type,
                resource.status,
                resource.reason,
                self.desired.token,
            )
        )

    def _append(self, event: Event) -> None:
        """Readers sort events by their time in milliseconds, so no two may share one."""
        if self.events:
            event = replace(event, time=max(event.time, self.events[-1].time + timedelta(milliseconds=1)))
        self.events.append(event)


class StackStore:
    """All stacks, living and deleted, found by name or ARN as the API's callers do."""

    def __init__(self) -> None:
        self._stacks: dict[str, Stack] = {}
        self._lock = Lock()

    def add(self, stack: Stack) -> None:
        """Raises ApiError if a living stack has the name."""
        with self._lock:
            if any(other.name == stack.name and other.deleted is None for other in self._stacks.values()):
                raise ApiError("AlreadyExistsException", f"Stack [{stack.name}] already exists")
            self._stacks[stack.id] = stack

    def forget(self, stack: Stack) -> None:
        with self._lock:
            self._stacks.pop(stack.id, None)

    def find(self, name: str) -> Stack | None:
        """By ARN, deleted ones too, or by the name of a living one."""
        with self._lock:
            if name in self._stacks:
                return self._stacks[name]
            return next((s for s in self._stacks.values() if s.name == name and s.deleted is None), None)

    def get(self, name: str) -> Stack:
        """Like `find`; raises ApiError in CloudFormation's words."""
        stack = self.find(name)
        if stack is None:
            raise ApiError("ValidationError", f"Stack with id {name} does not exist")
        return stack

    def living(self) -> list[Stack]:
        return [stack for stack in self.all() if stack.deleted is None]

    def all(self) -> list[Stack]:
        with self._lock:
            return list(self._stacks.values())

    def exports(self) -> dict[str, tuple[Stack, str]]:
        """Value and owner of each exported name."""
        return {
            output.export: (stack, output.value)
            for stack in self.living()
            for output in stack.outputs
            if output.export is not None
        }

    def importers(self, export: str) -> Iterator[Stack]:
        return (stack for stack in self.living() if export in stack.imports)
