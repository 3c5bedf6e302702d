"""What a resource type is to the executor: how to make, change and delete one through AWS's own API."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape

from rerank_toolkit.local_sagemaker.clients import Clients

Properties = Mapping[str, Any]


class ResourceFailed(Exception):
    """The resource could not be made or changed. `made`: what stands all the same and must be deleted."""

    def __init__(self, reason: str, made: Made | None = None) -> None:
        super().__init__(reason)
        self.made = made


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a resource type."""

    clients: Clients
    stack: str
    logical_id: str
    region: str
    account: str
    properties: Properties
    physical_id: str = ""
    """Empty when the resource is yet to be made."""
    attributes: Properties = field(default_factory=dict)
    """What Fn::GetAtt gives of the resource as it stands."""
    previous: Properties = field(default_factory=dict)
    """Properties before the update."""

    def name(self, longest: int, *, lower: bool = False) -> str:
        """A new name for a resource that the template leaves unnamed: never the same twice, so it can be replaced."""
        suffix = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(12))
        stem = f"{self.stack}-{self.logical_id}"[: longest - 13].rstrip("-")
        name = f"{stem}-{suffix}"
        return name.lower() if lower else name

    def pick(self, *names: str) -> dict[str, Any]:
        """Those of the properties that are there, for an API that names them alike."""
        return {name: self.properties[name] for name in names if name in self.properties}

    def without(self, *names: str) -> dict[str, Any]:
        return {name: value for name, value in self.properties.items() if name not in names}

    def call(self, service: str, operation: str, parameters: Properties) -> Any:
        """Calls the API, numbers and booleans that the template writes as text converted.

        Raises botocore's errors: ParamValidationError for a property that the API doesn't have.
        """
        client = self.clients(service)
        shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation]).input_shape
        return getattr(client, operation)(**_coerce(parameters, shape))

    def call_if_there(self, gone: str, service: str, operation: str, parameters: Properties) -> None:
        """For what takes something away: satisfied if it isn't there, which the API says with the code `gone`."""
        try:
            self.call(service, operation, parameters)
        except ClientError as error:
            if error.response["Error"]["Code"] != gone:
                raise

    def retag(
        self,
        service: str,
        resource: Properties,
        *,
        put: str = "tag_resource",
        drop: str = "untag_resource",
        tags: str = "Tags",
        keys: str = "TagKeys",
        encode: Callable[[dict[str, str]], Any] | None = None,
    ) -> None:
        """Brings the resource's tags from the previous to the present ones. `resource`, `tags` and `keys` are what the
        API calls its parameters; `encode` turns the tags into what it takes, a list of Key and Value unless told."""
        old, new = tags_of(self.previous), tags_of(self.properties)
        if dropped := sorted(set(old) - set(new)):
            self.call(service, drop, {**resource, keys: dropped})
        if new and new != old:
            encoded = encode(new) if encode else [{"Key": key, "Value": value} for key, value in new.items()]
            self.call(service, put, {**resource, tags: encoded})


@dataclass(frozen=True, slots=True)
class Made:
    """What Ref and Fn::GetAtt give."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type: its functions raise ResourceFailed or botocore's errors."""

    create: Callable[[Request], Made]
    delete: Callable[[Request], None]
    update: Callable[[Request], Mapping[str, Any]] | None = None
    """Changes it in place and gives the attributes that are new; None where every change needs a new one."""
    immutable: frozenset[str] = frozenset()
    """Properties that can't be changed in place; one within another is written Outer/Inner."""
    remark: str | None = None
    """Stands in the events of every resource of this type."""

    def replaces(self, old: Properties, new: Properties) -> bool:
        """Whether the change from the one to the other needs a new resource in the old one's place."""
        if self.update is None:
            return old != new
        return any(_within(old, path) != _within(new, path) for path in self.immutable)

    def update_in_place(self, request: Request) -> Mapping[str, Any]:
        if self.update is None:
            raise ResourceFailed(f"{request.logical_id} can't be changed in place. This is a bug.")
        return self.update(request)


def _within(properties: Properties, path: str) -> Any:
    value: Any = properties
    for name in path.split("/"):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def tags_of(properties: Properties) -> dict[str, str]:
    """Tags by key; most templates' types have a list of Key and Value, some a map."""
    tags = properties.get("Tags") or {}
    return dict(tags) if isinstance(tags, Mapping) else {tag["Key"]: tag["Value"] for tag in tags}


def lower_first(value: Any) -> Any:
    """With names as the newer APIs write them: logGroupArn for the template's LogGroupArn."""
    match value:
        case Mapping():
            return {name[0].lower() + name[1:]: lower_first(item) for name, item in value.items()}
        case list():
            return [lower_first(item) for item in value]
        case _:
            return value


def json_text(document: Any) -> str:
    """A policy as the APIs take it, however the template writes it."""
    return document if isinstance(document, str) else json.dumps(document)


@contextmanager
def standing(made: Made) -> Iterator[Made]:
    """For what is still to be done to a resource that stands already: if it fails, the failure names the resource, so
    that it is deleted."""
    try:
        yield made
    except Exception as error:  # whatever it is, the resource stands
        raise ResourceFailed(str(error), made) from error


def absent_is_fine(delete: Callable[[Request], None], *codes: str) -> Callable[[Request], None]:
    """The deletion, satisfied if someone else was quicker: `codes` are the API's words for "no such thing"."""

    def wrapped(request: Request) -> None:
        try:
            delete(request)
        except ClientError as error:
            if error.response["Error"]["Code"] not in codes:
                raise

    return wrapped


def _coerce(value: Any, shape: Shape | None) -> Any:
    match shape:
        case StructureShape() if isinstance(value, Mapping):
            return {name: _coerce(item, shape.members.get(name)) for name, item in value.items()}
        case ListShape() if isinstance(value, list):
            return [_coerce(item, shape.member) for item in value]
        case MapShape() if isinstance(value, Mapping):
            return {str(name): _coerce(item, shape.value) for name, item in value.items()}
        case Shape() if not isinstance(value, dict | list):
            return _coerce_scalar(value, shape.type_name)
        case _:
            return value


def _coerce_scalar(value: Any, type_name: str) -> Any:
    try:
        match type_name:
            case "integer" | "long":
                return int(value)
            case "float" | "double":
                return float(value)
            case "boolean" if isinstance(value, str) and value.lower() in ("true", "false"):
                return value.lower() == "true"
            case "string" if isinstance(value, bool):
                return str(value).lower()
            case "string" if isinstance(value, int | float):
                return str(value)
            case _:
                return value
    except ValueError:  # botocore's own validation says what is wrong with it, and where
        return value
