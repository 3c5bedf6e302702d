"""What the API keeps under names, and the tags of everything that has an ARN."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from threading import Lock
from typing import Any, Generic, TypeVar

from rerank_toolkit.local_sagemaker.protocol import ApiError, Parameters

Entry = TypeVar("Entry")

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


class Tags:
    """Of every resource, by its ARN."""

    def __init__(self) -> None:
        self._by_arn: dict[str, dict[str, str]] = {}
        self._lock = Lock()

    def put(self, arn: str, request: Parameters) -> None:
        """Those that a request to create the resource carries."""
        with self._lock:
            self._by_arn[arn] = _tag_map(request)

    def drop(self, arn: str) -> None:
        with self._lock:
            self._by_arn.pop(arn, None)

    def add_tags(self, request: Parameters) -> dict[str, Any]:
        return {"Tags": self._change(request, added=_tag_map(request))}

    def list_tags(self, request: Parameters) -> dict[str, Any]:
        return {"Tags": self._change(request)}

    def delete_tags(self, request: Parameters) -> dict[str, Any]:
        self._change(request, dropped=request["TagKeys"])
        return {}

    def _change(
        self, request: Parameters, *, added: Mapping[str, str] | None = None, dropped: Collection[str] = ()
    ) -> list[dict[str, str]]:
        arn = request["ResourceArn"]
        with self._lock:
            if arn not in self._by_arn:
                raise ApiError("ValidationException", f'Could not find resource "{arn}".')
            tags = {**self._by_arn[arn], **(added or {})}
            self._by_arn[arn] = tags = {key: value for key, value in tags.items() if key not in dropped}
        return [{"Key": key, "Value": value} for key, value in tags.items()]


class Table(Generic[Entry]):
    """The resources of one kind."""

    def __init__(self, kind: str, arns: str, tags: Tags) -> None:
        """`kind` is what messages call one; `arns` is what their ARNs begin with."""
        self._kind = kind
        self._arns = arns
        self._tags = tags
        self._entries: dict[str, Entry] = {}
        self._lock = Lock()

    def arn(self, name: str) -> str:
        return f"{self._arns}/{name.lower()}"

    def add(self, name: str, entry: Entry, request: Parameters) -> None:
        """Raises ApiError if there is one of this name."""
        with self._lock:
            if name in self._entries:
                raise ApiError(
                    "ValidationException", f'Cannot create already existing {self._kind} "{self.arn(name)}".'
                )
            self._entries[name] = entry
        self._tags.put(self.arn(name), request)

    def find(self, name: str) -> Entry | None:
        with self._lock:
            return self._entries.get(name)

    def get(self, name: str) -> Entry:
        """Raises ApiError if there is none of this name."""
        entry = self.find(name)
        if entry is None:
            raise ApiError("ValidationException", f'Could not find {self._kind} "{self.arn(name)}".')
        return entry

    def all(self) -> list[Entry]:
        with self._lock:
            return list(self._entries.values())

    def remove(self, name: str) -> None:
        with self._lock:
            self._entries.pop(name, None)
        self._tags.drop(self.arn(name))


def check_name(field: str, name: str) -> str:
    """The name; raises ApiError for one that SageMaker would refuse."""
    if not _NAME.fullmatch(name):
        refuse([f"Value '{name}' at '{field}' failed to satisfy constraint: Member must match {_NAME.pattern}"])
    return name


def refuse(faults: Iterable[str]) -> None:
    """Raises ApiError with all faults, if there are any."""
    found = list(faults)
    if found:
        raise ApiError(
            "ValidationException",
            f"{len(found)} validation error{'s' * (len(found) > 1)} detected: {'; '.join(found)}",
        )


def only(entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: entry[name] for name in names}


def _tag_map(request: Parameters) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}
