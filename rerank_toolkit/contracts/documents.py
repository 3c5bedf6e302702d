"""Reading and writing the files that the parts exchange.

A file names its schema_version. One of a newer schema is refused with both versions named: the reader can't
know what the new fields mean, and a plan half understood is a wrong bill.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError
from rerank_toolkit.contracts.faults import Fault, collect_faults


class NewerSchema(ToolkitError):
    """The file was written by a newer version of the toolkit."""

    exit_code = 2


Document = TypeVar("Document")


def decode(data: bytes, expected: type[Document], *, name: str) -> Document:
    """The JSON text `data` as `expected`.

    Raises InvalidInput with every fault, NewerSchema if schema_version is above ours; `name` says whose text
    it is in both.
    """
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(name, [Fault("", f"is not JSON: {error}", "not_json")]) from None
    return convert(document, expected, name=name)


def convert(document: object, expected: type[Document], *, name: str) -> Document:
    """Like `decode`, for a document already parsed from JSON or TOML."""
    _refuse_newer(document, expected, name)
    faults = collect_faults(document, expected)
    if faults:
        raise InvalidInput(name, faults)
    try:
        return msgspec.convert(document, expected)
    except msgspec.ValidationError as error:  # a __post_init__ that looks at several fields at once
        raise InvalidInput(name, [Fault("", str(error))]) from None


def read(path: Path, expected: type[Document]) -> Document:
    """The document in the file `path`; raises as `decode`, and InvalidInput if it can't be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(str(path), [Fault("", f"can't be read: {error.strerror}", "unreadable")]) from None
    return decode(data, expected, name=str(path))


def encode(document: object) -> bytes:
    """Indented JSON with a final newline, fields in their declared order: the same document, the same bytes."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def write(path: Path, document: object) -> None:
    """Writes the document at once: a reader sees the old file or the new one, never half, whoever else writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(encode(document))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_newer(document: object, expected: Any, name: str) -> None:
    fields = getattr(expected, "__struct_fields__", ())
    if "schema_version" not in fields or not isinstance(document, dict):
        return
    ours = _default_version(expected)
    theirs = document.get("schema_version")
    if isinstance(theirs, int) and theirs > ours:
        raise NewerSchema(
            f"{name}: schema_version is {theirs}, this toolkit reads up to {ours}; "
            "update rerank-toolkit, or write the file again with this version"
        )


def _default_version(expected: Any) -> int:
    for field in msgspec.structs.fields(expected):
        if field.name == "schema_version":
            return int(field.default)
    raise TypeError(f"{expected} has no schema_version. This is a bug.")
