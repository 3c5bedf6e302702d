"""moto's interpreter of state machines, with what it lacks: a task that is a SageMaker transform job, waited for, and
names for executions that are started without one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError
from moto.core.base_backend import BackendDict
from moto.core.exceptions import AWSError
from moto.stepfunctions.models import StateMachine
from moto.stepfunctions.parser.api import HistoryEventType, InvalidDefinition, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_factory import (
    state_task_service_for as find_task,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from rerank_toolkit.local_sagemaker.clients import Clients

_ACTION = "CreateTransformJob"
_ENDED = ("Completed", "Failed", "Stopped")
_MODELLED_ERRORS = {
    "ConflictException": "ConflictException",
    "ResourceInUse": "ResourceInUseException",
    "ResourceLimitExceeded": "ResourceLimitExceededException",
    "ResourceNotFound": "ResourceNotFoundException",
}
"""By SageMaker's code, what a state machine can catch behind "SageMaker."; it knows the others by one general name."""


class Refused(AWSError):
    """The interpreter's own error for a definition loses its code on the way to the caller."""

    TYPE = "InvalidDefinition"


class Backend(StepFunctionsParserBackend):
    """The interpreter behind Step Functions' API."""

    def create_state_machine(self, *given: Any, **more: Any) -> StateMachine:
        try:
            return super().create_state_machine(*given, **more)
        except InvalidDefinition as error:
            raise Refused(error.message) from None

    def update_state_machine(self, *given: Any, **more: Any) -> StateMachine:
        try:
            return super().update_state_machine(*given, **more)
        except InvalidDefinition as error:
            raise Refused(error.message) from None

    def start_execution(self, state_machine_arn: str, name: str | None = None, *rest: Any) -> Any:
        """An execution without a name gets one: the interpreter would take the second for the first."""
        return super().start_execution(state_machine_arn, name or str(uuid.uuid4()), *rest)


class TransformTask(StateTaskServiceCallback):
    """states:::sagemaker:createTransformJob, and with .sync at its end one that is waited for."""

    def __init__(self, clients: Clients) -> None:
        patterns = (ResourceCondition.Sync, ResourceCondition.WaitForTaskToken)
        super().__init__({ResourceCondition(pattern) for pattern in patterns})
        self._clients = clients

    def _get_supported_parameters(self) -> set[str] | None:
        """None refuses the definition: the local AWS has no other jobs."""
        if self.resource.api_action.lower() != _ACTION.lower():
            return None
        return set(self._clients("sagemaker").meta.service_model.operation_model(_ACTION).input_shape.members)

    def _eval_service_task(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        answer = self._clients("sagemaker").create_transform_job(**normalised_parameters)
        env.stack.append({"TransformJobArn": answer["TransformJobArn"]})

    def _build_sync_resolver(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> TransformJob:
        env.stack.pop()  # the job's ARN, in whose place its description comes
        return TransformJob(self._clients, normalised_parameters["TransformJobName"], self, env)

    def _eval_integration_pattern(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        try:
            super()._eval_integration_pattern(env, resource_runtime_part, normalised_parameters, state_credentials)
        finally:
            if not env.is_running():  # stopped or timed out: the job would go on for nobody
                TransformJob(self._clients, normalised_parameters["TransformJobName"], self, env).stop()

    def _from_error(self, env: Environment, ex: Exception) -> FailureEvent:
        match ex:
            case ClientError():
                code, cause = ex.response["Error"]["Code"], ex.response["Error"]["Message"]
            case ParamValidationError():
                code, cause = "ValidationException", str(ex)
            case _:
                return super()._from_error(env=env, ex=ex)
        name = f"SageMaker.{_MODELLED_ERRORS.get(code, 'AmazonSageMakerException')}"
        return self.failed(env, CustomErrorName(name), name, cause)

    def failed(self, env: Environment, name: Any, error: str, cause: str) -> FailureEvent:
        details = TaskFailedEventDetails(
            resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type(), error=error, cause=cause
        )
        event = EventDetails(taskFailedEventDetails=details)  # type: ignore[typeddict-item]  # of its keys it has one
        return FailureEvent(env, name, HistoryEventType.TaskFailed, event)


class TransformJob:
    """A job that a task waits for."""

    def __init__(self, clients: Clients, name: str, task: TransformTask, env: Environment) -> None:
        self._clients = clients
        self._name = name
        self._task = task
        self._env = env

    def __call__(self) -> dict[str, Any] | None:
        """Its description when it is completed, None before; raises FailureEventException if it has failed."""
        job = self._describe()
        if job["TransformJobStatus"] not in _ENDED:
            return None
        described = {name: _in_json(value) for name, value in job.items() if name != "ResponseMetadata"}
        if job["TransformJobStatus"] == "Completed":
            return described
        kind = StatesErrorNameType.StatesTaskFailed
        failure = self._task.failed(self._env, StatesErrorName(kind), kind.to_name(), to_json_str(described))
        raise FailureEventException(failure)

    def stop(self) -> None:
        if self._describe()["TransformJobStatus"] not in _ENDED:
            self._clients("sagemaker").stop_transform_job(TransformJobName=self._name)

    def _describe(self) -> Mapping[str, Any]:
        described: Mapping[str, Any] = self._clients("sagemaker").describe_transform_job(TransformJobName=self._name)
        return described


def _in_json(value: Any) -> Any:
    """Times as Step Functions has them, in milliseconds since 1970."""
    match value:
        case datetime():
            return int(value.timestamp() * 1000)
        case Mapping():
            return {name: _in_json(item) for name, item in value.items()}
        case list():
            return [_in_json(item) for item in value]
        case _:
            return value


def make_backends(clients: Clients) -> BackendDict[Backend]:
    """A backend for each account and region, whose tasks call `clients`."""

    def state_task_service_for(service_name: str) -> StateTaskService:
        return TransformTask(clients) if service_name == "sagemaker" else find_task(service_name)

    setattr(state_task_factory, state_task_service_for.__name__, state_task_service_for)
    return BackendDict(Backend, "stepfunctions")
