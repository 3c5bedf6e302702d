"""The shape of a body as tables: one for its own fields, one for each kind of object in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from tools.reference.attributes import attribute_docs
from tools.reference.markdown import code, table


def describe_struct(root: type[msgspec.Struct]) -> Iterator[str]:
    """A table of the fields of `root`, then for each object within it its name and table."""
    seen: list[type[msgspec.Struct]] = [root]
    for struct in seen:  # grows while it is read
        if struct is not root:
            yield f"{code(struct.__name__)}:"
        yield _fields(struct)
        for field in msgspec.structs.fields(struct):
            seen += [found for found in _structs(inspect.type_info(field.type)) if found not in seen]


def _fields(struct: type[msgspec.Struct]) -> str:
    docs = attribute_docs(struct)
    rows = []
    for field in msgspec.structs.fields(struct):
        default = "" if field.required else _default(field)
        rows.append(
            (code(field.encode_name), type_words(inspect.type_info(field.type)), default, docs.get(field.name, ""))
        )
    return table(("field", "type", "default", "what it is"), rows)


def _default(field: Any) -> str:
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None:
        return "absent"
    return code(msgspec.json.encode(value).decode())


_SIMPLE = {
    inspect.BoolType: "true or false",
    inspect.DictType: "object",
    inspect.FloatType: "number",
    inspect.StrType: "string",
}


def type_words(info: inspect.Type) -> str:
    """A type as a reader of JSON says it."""
    match info:
        case inspect.Metadata():
            return type_words(info.type)
        case inspect.StructType() if _is_small(info.cls):
            return f"{{{', '.join(f'{code(field.encode_name)}: {type_words(field.type)}' for field in info.fields)}}}"
        case inspect.StructType():
            return code(info.cls.__name__)
        case inspect.ListType() | inspect.VarTupleType():
            least = f", at least {info.min_length}" if info.min_length else ""
            return f"list of {type_words(info.item_type)}{least}"
        case inspect.TupleType():
            return f"[{', '.join(type_words(item) for item in info.item_types)}]"
        case inspect.UnionType():
            return " or ".join(type_words(item) for item in info.types if not isinstance(item, inspect.NoneType))
        case inspect.LiteralType():
            return ", ".join(code(msgspec.json.encode(value).decode()) for value in info.values)
        case inspect.IntType():
            return "whole number" + (f" from {info.ge}" if info.ge is not None else "")
        case _:
            return _SIMPLE.get(type(info), "anything")


def _is_small(struct: type[msgspec.Struct]) -> bool:
    """Whether it is shown where it stands: one field, of which nothing has to be said."""
    return len(struct.__struct_fields__) == 1 and not attribute_docs(struct)


def _structs(info: inspect.Type) -> Iterator[type[msgspec.Struct]]:
    match info:
        case inspect.Metadata():
            yield from _structs(info.type)
        case inspect.StructType() if not _is_small(info.cls):
            yield info.cls
        case inspect.ListType() | inspect.VarTupleType():
            yield from _structs(info.item_type)
        case inspect.UnionType():
            for item in info.types:
                yield from _structs(item)
