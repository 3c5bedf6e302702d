"""Every fault of a document at once, where msgspec alone stops at the first.

`collect_faults` walks a decoded document along a msgspec type. Containers are walked, leaves are left to
`msgspec.convert`, so its rules and its words are the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec
from msgspec import inspect

MOST_FAULTS = 20
"""More than a reader will mend in one go; a body of 40,000 wrong items must not be answered with 40,000 lines."""


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with an input: where, what stands there, and what was expected."""

    field: str
    message: str
    type: str = "invalid"

    def __str__(self) -> str:
        return f"{self.field or 'document'}: {self.message}"


def collect_faults(document: object, expected: Any, *, field: str = "") -> list[Fault]:
    """All faults that keep `document`, as decoded from JSON or TOML, from being `expected`.

    `expected` is any type msgspec understands. Fields are named as in `deployments[2].instance`. Beyond MOST_FAULTS
    a last one says that there are more.
    """
    faults = list(islice(_walk(document, inspect.type_info(expected), field), MOST_FAULTS + 1))
    if len(faults) > MOST_FAULTS:
        faults[MOST_FAULTS] = Fault(field, f"has more faults; these are the first {MOST_FAULTS}", "more")
    return faults


def _walk(value: object, info: inspect.Type, field: str) -> Iterator[Fault]:
    match info:
        case inspect.StructType() if isinstance(value, Mapping):
            yield from _walk_struct(value, info, field)
        case inspect.ListType() | inspect.VarTupleType() if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _walk(item, info.item_type, f"{field}[{index}]")
            yield from _check_length(value, info, field)
        case inspect.TupleType():
            yield from _walk_tuple(value, info, field)
        case inspect.DictType() if isinstance(value, Mapping):
            for key, item in value.items():
                yield from _walk(item, info.value_type, _join(field, str(key)))
        case inspect.UnionType():
            yield from _walk_union(value, info, field)
        case inspect.Metadata():
            yield from _walk(value, info.type, field)
        case _:
            yield from _convert(value, info, field)


def _walk_struct(value: Mapping[Any, object], info: inspect.StructType, field: str) -> Iterator[Fault]:
    clean = True
    for fault in _walk_fields(value, info, field):
        clean = False
        yield fault
    if clean and hasattr(info.cls, "__post_init__"):  # looks at several fields at once, so only when each is sound
        try:
            msgspec.convert(value, info.cls)
        except msgspec.ValidationError as error:
            yield Fault(field, str(error).partition(" - at ")[0], "inconsistent")


def _walk_fields(value: Mapping[Any, object], info: inspect.StructType, field: str) -> Iterator[Fault]:
    known = {item.encode_name: item for item in info.fields}
    for name, item in known.items():
        if name in value:
            yield from _walk(value[name], item.type, _join(field, name))
        elif item.required:
            yield Fault(_join(field, name), "is missing", "missing")
    if info.forbid_unknown_fields:
        for name in value:
            if name not in known and name != info.tag_field:
                expected = ", ".join(sorted(known))
                yield Fault(_join(field, str(name)), f"is not a known field; known are {expected}", "unknown_field")


def _walk_tuple(value: object, info: inspect.TupleType, field: str) -> Iterator[Fault]:
    count = len(info.item_types)
    if not isinstance(value, list):
        yield Fault(field, f"is {_show(value)}; expected a list of {count} items", "wrong_type")
    elif len(value) != count:
        yield Fault(field, f"has {len(value)} items; expected {count}", "wrong_length")
    else:
        for index, (item, item_type) in enumerate(zip(value, info.item_types, strict=True)):
            yield from _walk(item, item_type, f"{field}[{index}]")


def _walk_union(value: object, info: inspect.UnionType, field: str) -> Iterator[Fault]:
    if value is None and info.includes_none:
        return
    tagged = [item for item in info.types if isinstance(item, inspect.StructType) and item.tag_field]
    if tagged and isinstance(value, Mapping):
        tag_field = tagged[0].tag_field or "type"
        for item in tagged:
            if value.get(tag_field) == item.tag:
                yield from _walk_struct(value, item, field)
                return
        known = ", ".join(sorted(str(item.tag) for item in tagged))
        yield Fault(
            _join(field, tag_field), f"is {_show(value.get(tag_field))}; expected one of {known}", "unknown_kind"
        )
        return
    rest = [item for item in info.types if not isinstance(item, inspect.NoneType)]
    if isinstance(value, Mapping):
        rest = [item for item in rest if isinstance(item, inspect.StructType | inspect.DictType)] or rest
    elif isinstance(value, list):
        rest = [item for item in rest if isinstance(item, inspect.ListType)] or rest
    if len(rest) == 1:
        yield from _walk(value, rest[0], field)
        return
    faults = [list(_walk(value, item, field)) for item in rest]
    if all(faults):
        yield Fault(field, f"is {_show(value)}; expected {' or '.join(_name(item) for item in rest)}", "wrong_type")


def _check_length(value: list[object], info: Any, field: str) -> Iterator[Fault]:
    if info.min_length is not None and len(value) < info.min_length:
        yield Fault(field, f"has {len(value)} items; expected at least {info.min_length}", "too_short")
    if info.max_length is not None and len(value) > info.max_length:
        yield Fault(field, f"has {len(value)} items; expected at most {info.max_length}", "too_long")


def _convert(value: object, info: inspect.Type, field: str) -> Iterator[Fault]:
    try:
        msgspec.convert(value, _as_type(info))
    except msgspec.ValidationError as error:
        expected = str(error).partition(" - at ")[0]
        yield Fault(field, f"is {_show(value)}; {expected[0].lower()}{expected[1:]}", "wrong_type")


# The leaves' Python types, with the bounds that the annotation gave them.
_LEAVES: Mapping[type, Any] = {
    inspect.BoolType: bool,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.StrType: str,
    inspect.BytesType: bytes,
    inspect.NoneType: None,
    inspect.AnyType: Any,
}


def _as_type(info: inspect.Type) -> Any:
    match info:
        case inspect.LiteralType():
            return Literal[info.values]
        case inspect.EnumType() | inspect.StructType() | inspect.CustomType():
            return info.cls
        case inspect.ListType() | inspect.VarTupleType():
            return list[Any]
        case inspect.DictType():
            return dict[str, Any]
        case inspect.DecimalType():
            return Decimal
        case inspect.DateTimeType():
            return datetime
        case inspect.DateType():
            return date
        case _:
            bounds = {
                name: getattr(info, name)
                for name in ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
                if getattr(info, name, None) is not None
            }
            plain = _LEAVES[type(info)]
            return Annotated[plain, msgspec.Meta(**bounds)] if bounds else plain


def _name(info: inspect.Type) -> str:
    match info:
        case inspect.StructType():
            return f"an object with {', '.join(item.encode_name for item in info.fields if item.required)}"
        case inspect.StrType():
            return "a string"
        case inspect.ListType():
            return "a list"
        case inspect.IntType() | inspect.FloatType():
            return "a number"
        case _:
            return type(info).__name__.removesuffix("Type").lower()


def _show(value: object) -> str:
    """The value as a reader recognises it, cut: a fault must not repeat a megabyte."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "null"
        case _:
            text = repr(value)
            return text if len(text) <= 60 else f"{text[:57]}…"


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
