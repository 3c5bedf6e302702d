"""CloudFormation's API, as far as the CDK's command line and boto3's waiters use it."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from threading import Lock, Thread
from typing import Any

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.cloudformation import describe
from rerank_toolkit.local_sagemaker.cloudformation.changes import compare
from rerank_toolkit.local_sagemaker.cloudformation.executor import Executor
from rerank_toolkit.local_sagemaker.cloudformation.intrinsics import TemplateError
from rerank_toolkit.local_sagemaker.cloudformation.lookups import Lookups
from rerank_toolkit.local_sagemaker.cloudformation.resources import is_recorded_only
from rerank_toolkit.local_sagemaker.cloudformation.sources import read_desired, read_template
from rerank_toolkit.local_sagemaker.cloudformation.stacks import Change, ChangeSet, Desired, Stack, StackStore
from rerank_toolkit.local_sagemaker.cloudformation.values import KNOWN_AFTER_APPLY, PARTITION, check_rules
from rerank_toolkit.local_sagemaker.protocol import Action, ApiError, Parameters

logger = logging.getLogger(__name__)

HOLD_S = 3.0
"""An operation is waited for this long before it is answered: callers poll every 5 s, most stacks are quicker."""

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
_COMPLETE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"})
_UPDATABLE = _COMPLETE | {"CREATE_FAILED", "UPDATE_FAILED"}


class CloudFormation:
    """The actions by name; each takes the request's parameters and gives the answer's members."""

    def __init__(self, clients: Clients, *, region: str, account: str) -> None:
        self.store = StackStore()
        self._clients = clients
        self._region = region
        self._account = account
        self._lookups = Lookups(clients, self.store, region=region, account=account)
        self._executor = Executor(clients, self.store, self._lookups, region=region, account=account)
        self._lock = Lock()

    def actions(self) -> dict[str, Action]:
        return {
            "CreateChangeSet": self.create_change_set,
            "CreateStack": self.create_stack,
            "DeleteChangeSet": self.delete_change_set,
            "DeleteStack": self.delete_stack,
            "DescribeChangeSet": self.describe_change_set,
            "DescribeEvents": self.describe_events,
            "DescribeStackEvents": self.describe_stack_events,
            "DescribeStackResource": self.describe_stack_resource,
            "DescribeStackResources": self.describe_stack_resources,
            "DescribeStacks": self.describe_stacks,
            "ExecuteChangeSet": self.execute_change_set,
            "GetTemplate": self.get_template,
            "GetTemplateSummary": self.get_template_summary,
            "ListChangeSets": self.list_change_sets,
            "ListExports": self.list_exports,
            "ListImports": self.list_imports,
            "ListStackResources": self.list_stack_resources,
            "ListStacks": self.list_stacks,
            "UpdateStack": self.update_stack,
            "UpdateTerminationProtection": self.update_termination_protection,
            "ValidateTemplate": self.validate_template,
        }

    def recorded_only(self) -> list[tuple[str, str, str]]:
        """Stack, logical id and type of every resource whose type nobody implements."""
        return [
            (stack.name, resource.logical_id, resource.type)
            for stack in self.store.living()
            for resource in list(stack.resources.values())
            if is_recorded_only(resource.type)
        ]

    # Change sets

    def create_change_set(self, request: Parameters) -> dict[str, Any]:
        kind = request.get("ChangeSetType", "UPDATE")
        name = request["ChangeSetName"]
        stack = self.store.find(request["StackName"])
        if kind == "IMPORT":
            raise ApiError("ValidationError", "the local AWS has no resource import")
        if kind == "CREATE" and (stack is None or stack.deleted is not None):
            desired = read_desired(self._clients, request, None)
            stack = self._new_stack(request, desired)
            stack.set_status("REVIEW_IN_PROGRESS", "User Initiated")
        elif stack is None:
            raise ApiError("ValidationError", f"Stack [{request['StackName']}] does not exist")
        else:
            self._check_idle(stack, creating=kind == "CREATE")
            desired = read_desired(self._clients, request, stack)
        if name in stack.change_sets:
            raise ApiError("AlreadyExistsException", f"ChangeSet [{name}] already exists")
        stack.capabilities = tuple(request.get("Capabilities", stack.capabilities))
        stack.role = request.get("RoleARN", stack.role)
        change_set = self._plan(stack, name, desired, request.get("Description"))
        stack.change_sets[name] = change_set
        return {"Id": change_set.id, "StackId": stack.id}

    def describe_change_set(self, request: Parameters) -> dict[str, Any]:
        return describe.change_set(*self._find_change_set(request))

    def execute_change_set(self, request: Parameters) -> dict[str, Any]:
        stack, change_set = self._find_change_set(request)
        if change_set.status != "CREATE_COMPLETE":
            raise ApiError(
                "InvalidChangeSetStatus",
                f"ChangeSet [{change_set.id}] cannot be executed in its current status of [{change_set.status}]",
            )
        desired = replace(
            change_set.desired,
            disable_rollback=bool(request.get("DisableRollback", change_set.desired.disable_rollback)),
            token=request.get("ClientRequestToken"),
        )
        self._start(stack, desired, creating=stack.status == "REVIEW_IN_PROGRESS")
        return {}

    def delete_change_set(self, request: Parameters) -> dict[str, Any]:
        try:
            stack, change_set = self._find_change_set(request)
        except ApiError:  # AWS, too, is content with one that isn't there
            return {}
        stack.change_sets.pop(change_set.name, None)
        return {}

    def list_change_sets(self, request: Parameters) -> dict[str, Any]:
        stack = self.store.get(request["StackName"])
        return {"Summaries": [describe.change_set_summary(stack, each) for each in list(stack.change_sets.values())]}

    # Stacks

    def create_stack(self, request: Parameters) -> dict[str, Any]:
        desired = read_desired(self._clients, request, None)
        stack = self._new_stack(request, desired)
        try:
            self._check(stack, desired)
        except TemplateError as error:
            self.store.forget(stack)
            raise ApiError("ValidationError", str(error)) from None
        self._start(stack, desired, creating=True)
        return {"StackId": stack.id}

    def update_stack(self, request: Parameters) -> dict[str, Any]:
        stack = self.store.get(request["StackName"])
        self._check_idle(stack, creating=False)
        desired = read_desired(self._clients, request, stack)
        try:
            self._check(stack, desired)
        except TemplateError as error:
            raise ApiError("ValidationError", str(error)) from None
        if stack.status in _COMPLETE and _same(stack.desired, desired):
            raise ApiError("ValidationError", "No updates are to be performed.")
        self._start(stack, desired, creating=False)
        return {"StackId": stack.id}

    def delete_stack(self, request: Parameters) -> dict[str, Any]:
        stack = self.store.find(request["StackName"])
        if stack is None or stack.deleted is not None:
            return {}
        if stack.termination_protection:
            raise ApiError(
                "ValidationError", f"Stack [{stack.id}] cannot be deleted while TerminationProtection is enabled"
            )
        for output in stack.outputs:
            users = [user.name for user in self.store.importers(output.export or "") if user is not stack]
            if output.export and users:
                raise ApiError(
                    "ValidationError", f"Export {output.export} cannot be deleted as it is in use by {', '.join(users)}"
                )
        with self._lock:
            if stack.in_progress:
                raise ApiError(
                    "ValidationError", f"Stack [{stack.name}] is in {stack.status} state and can not be deleted."
                )
            stack.desired = replace(stack.desired, token=request.get("ClientRequestToken"))
            stack.status = "DELETE_IN_PROGRESS"
        self._run(stack, "DELETE", lambda: self._executor.delete(stack))
        return {}

    def describe_stacks(self, request: Parameters) -> dict[str, Any]:
        name = request.get("StackName")
        stacks = [self.store.get(name)] if name else self.store.living()
        return {"Stacks": [describe.stack(stack) for stack in stacks]}

    def list_stacks(self, request: Parameters) -> dict[str, Any]:
        wanted = request.get("StackStatusFilter")
        stacks = reversed(self.store.all())
        return {"StackSummaries": [describe.summary(stack) for stack in stacks if not wanted or stack.status in wanted]}

    def describe_stack_events(self, request: Parameters) -> dict[str, Any]:
        stack = self.store.get(request["StackName"])
        return {"StackEvents": [describe.event(stack, event) for event in reversed(stack.events)]}

    def describe_events(self, _: Parameters) -> dict[str, Any]:
        """Faults that AWS finds before it deploys; ours are in the change set's reason."""
        return {"OperationEvents": []}

    def describe_stack_resources(self, request: Parameters) -> dict[str, Any]:
        stack = self._find_stack_of(request)
        wanted = request.get("LogicalResourceId")
        return {
            "StackResources": [
                {
                    **describe.resource(resource),
                    "Timestamp": resource.updated,
                    "StackId": stack.id,
                    "StackName": stack.name,
                }
                for resource in list(stack.resources.values())
                if wanted in (None, resource.logical_id)
            ]
        }

    def describe_stack_resource(self, request: Parameters) -> dict[str, Any]:
        stack = self.store.get(request["StackName"])
        resource = stack.resources.get(request["LogicalResourceId"])
        if resource is None:
            raise ApiError(
                "ValidationError", f"Resource {request['LogicalResourceId']} does not exist for stack {stack.name}"
            )
        detail = {**describe.resource(resource), "LastUpdatedTimestamp": resource.updated}
        return {"StackResourceDetail": {**detail, "StackId": stack.id, "StackName": stack.name}}

    def list_stack_resources(self, request: Parameters) -> dict[str, Any]:
        stack = self.store.get(request["StackName"])
        return {
            "StackResourceSummaries": [
                {**describe.resource(resource), "LastUpdatedTimestamp": resource.updated}
                for resource in list(stack.resources.values())
            ]
        }

    def list_exports(self, _: Parameters) -> dict[str, Any]:
        exports = self.store.exports()
        return {
            "Exports": [
                {"ExportingStackId": stack.id, "Name": name, "Value": value} for name, (stack, value) in exports.items()
            ]
        }

    def list_imports(self, request: Parameters) -> dict[str, Any]:
        users = [stack.name for stack in self.store.importers(request["ExportName"])]
        if not users:
            raise ApiError("ValidationError", f"Export '{request['ExportName']}' is not imported by any stack.")
        return {"Imports": users}

    def update_termination_protection(self, request: Parameters) -> dict[str, Any]:
        stack = self.store.get(request["StackName"])
        stack.termination_protection = request["EnableTerminationProtection"]
        return {"StackId": stack.id}

    # Templates

    def get_template(self, request: Parameters) -> dict[str, Any]:
        if "ChangeSetName" in request:
            _, change_set = self._find_change_set(request)
            desired = change_set.desired
        else:
            stack = self.store.get(request["StackName"])
            if stack.status == "REVIEW_IN_PROGRESS":
                return {"TemplateBody": "", "StagesAvailable": []}
            desired = stack.desired
        return {"TemplateBody": desired.template.text, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, request: Parameters) -> dict[str, Any]:
        template = read_template(
            self._clients, request, self.store.find(request["StackName"]) if "StackName" in request else None
        )
        return {
            **describe.template(template),
            "ResourceTypes": sorted({resource.type for resource in template.resources.values()}),
            "Version": template.document.get("AWSTemplateFormatVersion"),
        }

    def validate_template(self, request: Parameters) -> dict[str, Any]:
        return describe.template(read_template(self._clients, request, None))

    # What they share

    def _new_stack(self, request: Parameters, desired: Desired) -> Stack:
        name = request["StackName"]
        if not _NAME.fullmatch(name):
            raise ApiError("ValidationError", f"stackName '{name}' must match {_NAME.pattern}")
        stack = Stack(
            id=f"arn:{PARTITION}:cloudformation:{self._region}:{self._account}:stack/{name}/{uuid.uuid4()}",
            name=name,
            status="REVIEW_IN_PROGRESS",
            desired=desired,
            capabilities=tuple(request.get("Capabilities", ())),
            role=request.get("RoleARN"),
            termination_protection=bool(request.get("EnableTerminationProtection", False)),
        )
        self.store.add(stack)
        return stack

    def _plan(self, stack: Stack, name: str, desired: Desired, description: str | None) -> ChangeSet:
        status, reason = "CREATE_COMPLETE", None
        changes: tuple[Change, ...] = ()
        try:
            self._check(stack, desired)
            existing = dict(stack.resources)
            values = self._lookups.values(stack, desired, existing, absent=KNOWN_AFTER_APPLY)
            changes = compare(existing, desired.template, values)
        except TemplateError as error:
            status, reason = "FAILED", str(error)
        else:
            if stack.status in _COMPLETE and not changes and _same(stack.desired, desired):
                status, reason = "FAILED", NO_CHANGES
        arn = f"arn:{PARTITION}:cloudformation:{self._region}:{self._account}:changeSet/{name}/{uuid.uuid4()}"
        return ChangeSet(arn, name, description, desired, changes, status, reason)

    def _check(self, stack: Stack, desired: Desired) -> None:
        values = self._lookups.values(stack, desired, stack.resources, absent=KNOWN_AFTER_APPLY)
        check_rules(desired.template, values)

    def _find_change_set(self, request: Parameters) -> tuple[Stack, ChangeSet]:
        name = request["ChangeSetName"]
        stacks = [self.store.get(request["StackName"])] if "StackName" in request else self.store.living()
        for stack in stacks:
            for change_set in list(stack.change_sets.values()):
                if name in (change_set.name, change_set.id):
                    return stack, change_set
        raise ApiError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")

    def _find_stack_of(self, request: Parameters) -> Stack:
        if "StackName" in request:
            return self.store.get(request["StackName"])
        physical_id = request.get("PhysicalResourceId")
        for stack in self.store.living():
            if any(resource.physical_id == physical_id for resource in list(stack.resources.values())):
                return stack
        raise ApiError("ValidationError", f"Stack for {physical_id} does not exist")

    def _check_idle(self, stack: Stack, *, creating: bool) -> None:
        if creating and stack.status == "REVIEW_IN_PROGRESS":
            return
        if creating:
            raise ApiError("AlreadyExistsException", f"Stack [{stack.name}] already exists")
        if stack.status not in _UPDATABLE:
            raise ApiError("ValidationError", f"Stack:{stack.id} is in {stack.status} state and can not be updated.")

    def _start(self, stack: Stack, desired: Desired, *, creating: bool) -> None:
        with self._lock:
            self._check_idle(stack, creating=creating)
            complete = stack.status in _COMPLETE
            stack.status = "CREATE_IN_PROGRESS" if creating else "UPDATE_IN_PROGRESS"
            stack.change_sets.clear()  # executed or obsolete: AWS deletes them all as well
        if creating:
            stack.desired = desired
            self._run(stack, "CREATE", lambda: self._executor.create(stack))
        else:
            self._run(stack, "UPDATE", lambda: self._executor.update(stack, desired, complete=complete))

    @staticmethod
    def _run(stack: Stack, verb: str, operation: Callable[[], None]) -> None:
        """Runs the operation in a thread of its own and waits for it, but not for long."""

        def run() -> None:
            try:
                operation()
            except Exception as error:  # a defect of ours must not leave the stack in progress for ever
                logger.exception("%s of stack %s", verb, stack.name)
                stack.set_status(f"{verb}_FAILED", f"The local AWS failed: {error!r}. This is a bug.")

        thread = Thread(target=run, name=f"{verb} {stack.name}", daemon=True)
        thread.start()
        thread.join(HOLD_S)


def _same(old: Desired, new: Desired) -> bool:
    return (
        old.template.document == new.template.document
        and dict(old.parameters) == dict(new.parameters)
        and sorted(old.tags) == sorted(new.tags)
    )
