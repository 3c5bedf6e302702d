"""AWS's wire protocols, by the service models that botocore ships: a request in, operation and parameters out."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Parameters = Mapping[str, Any]
Action = Callable[[Parameters], Mapping[str, Any]]

_CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


class ApiError(Exception):
    """An error of an AWS API: `code` is what boto3 shows in `response["Error"]["Code"]`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a signed request is for. The signature itself is not checked: every caller is this machine's user."""

    service: str
    region: str


def read_scope(environ: WSGIEnvironment) -> Scope | None:
    """The service and region that the request was signed for; None if it is unsigned."""
    match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    return Scope(match["service"].lower(), match["region"]) if match else None


def read_operation(environ: WSGIEnvironment) -> str | None:
    """The operation of a JSON-protocol request, which stands in a header."""
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    return target.rpartition(".")[2] or None


class Service:
    """Answers the operations of one AWS service from a table of functions."""

    def __init__(self, name: str, region: str, actions: Mapping[str, Action]) -> None:
        self._model = get_service_model(name)
        self._region = region
        self._actions = actions

    def provides(self, operation: str | None) -> bool:
        return operation in self._actions

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        operation = read_operation(environ) or request.values.get("Action", "")
        return self._answer(request, operation)(environ, start_response)

    def _answer(self, request: Request, operation: str) -> Response:
        try:
            self._check_region(request.environ)
            action = self._actions.get(operation)
            if action is None:
                known = ", ".join(sorted(self._actions))
                raise ApiError("InvalidAction", f"the local AWS has no {operation or 'such action'}; it has {known}")
            result: Any = action(self._parse(request, operation))
        except ApiError as error:
            result = error
        return self._serialize(operation, result)

    def _check_region(self, environ: WSGIEnvironment) -> None:
        scope = read_scope(environ)
        if scope and scope.region != self._region:
            raise ApiError(
                "ValidationError",
                f"the local AWS runs region {self._region}, the request is for {scope.region}; "
                f"stop it and start it there: rerank local down && rerank local up --region {scope.region}",
            )

    def _parse(self, request: Request, operation: str) -> Parameters:
        parser = PROTOCOL_PARSERS[self._model.protocol](self._model.operation_model(operation))
        parsed: Parameters = parser.parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.get_data(),
                "url_path": request.path,
                "url_params": {},
            }
        )
        return parsed

    def _serialize(self, operation: str, result: object) -> Response:
        known = operation if operation in self._model.operation_names else self._model.operation_names[0]
        serializer = get_serializer_class(self._model.service_name, self._model.protocol)(
            self._model.operation_model(known), context=SerializationContext(str(uuid.uuid4()))
        )
        answer = serializer.serialize(result)
        return Response(answer["body"], status=answer["status_code"], headers=dict(answer["headers"]))
