"""What every dialect does to a body first: null options dropped, old names replaced, and all faults at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import msgspec

from inference_container.dialects.base import ModelNames, RerankTask
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault, collect_faults
from rerank_toolkit.contracts.wire import Text

BODY = "body"
"""Where a fault is that lies in no field."""

Body = TypeVar("Body", bound=msgspec.Struct)


def read(
    body: object, expected: type[Body], *, field: str = "", aliases: Mapping[str, str] | None = None
) -> tuple[Body | None, list[Fault]]:
    """`body` as `expected`, or None and what keeps it from being that.

    field: where the body stands in the request. aliases: the name in `expected` of each other name that is taken.
    """
    if not isinstance(body, dict):
        return None, collect_faults(body, expected, field=field or BODY)
    plain, aliased, faults = _unalias(body, expected, field, aliases or {})
    try:
        return msgspec.convert(plain, expected), faults
    except msgspec.ValidationError as error:
        found = collect_faults(plain, expected, field=field) or [Fault(field, str(error))]
    return None, faults + [msgspec.structs.replace(one, field=aliased.get(one.field, one.field)) for one in found]


@cache
def _required(expected: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(item.encode_name for item in msgspec.structs.fields(expected) if item.required)


def _unalias(
    body: Mapping[str, Any], expected: type[msgspec.Struct], field: str, aliases: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str], list[Fault]]:
    """The body under today's names, the old name of each field that had one, and the fields that were named twice.

    Some clients send null for what is unset, so a null option is an absent one.
    """
    required = _required(expected)
    plain = {name: value for name, value in body.items() if value is not None or name in required}
    aliased: dict[str, str] = {}
    faults: list[Fault] = []
    for alias, name in aliases.items():
        if alias not in plain:
            continue
        if name in plain:
            faults.append(Fault(join(field, alias), f"means the same as {name}; send one of them", "duplicate"))
            continue
        plain[name] = plain.pop(alias)
        aliased[join(field, name)] = join(field, alias)
    return plain, aliased, faults


def read_all(
    items: Sequence[object], expected: type[Body], *, field: str, aliases: Mapping[str, str] | None = None
) -> tuple[list[Body], list[Fault]]:
    """Each item as `expected`, the sound ones, and the faults of the others, each under `field` and its position."""
    sound: list[Body] = []
    faults: list[Fault] = []
    for index, item in enumerate(items):
        one, found = read(item, expected, field=f"{field}[{index}]", aliases=aliases)
        faults += found
        if one is not None:
            sound.append(one)
        if len(faults) > MOST_FAULTS:
            return sound, bounded(faults)
    return sound, faults


def bounded(faults: Sequence[Fault]) -> list[Fault]:
    """At most MOST_FAULTS of them, and one that says that there are more."""
    if len(faults) <= MOST_FAULTS:
        return list(faults)
    return [*faults[:MOST_FAULTS], Fault(BODY, f"has more faults; these are the first {MOST_FAULTS}", "more")]


def query_faults(body: object, *, field: str = "query") -> list[Fault]:
    """A query without text, in either of its forms, whether or not the rest of the body is sound."""
    match body:
        case {"query": str(query) | {"text": str(query)}} if not query.strip():
            return [_blank(field)]
    return []


def blank_query_faults(task: RerankTask) -> list[Fault]:
    """A fault for each of the task's queries that has no text."""
    blank = (position for position, query in enumerate(task.queries) if not query.strip())
    return bounded([_blank(task.name_query(position)) for position in islice(blank, MOST_FAULTS + 1)])


def _blank(field: str) -> Fault:
    return Fault(field, "is empty; expected the text to rank the documents by", "empty")


def model_faults(body: object, names: ModelNames, *, field: str = "model") -> list[Fault]:
    match body:
        case {"model": str(model)} if fault := names.fault(model, field=field):
            return [fault]
    return []


def plain_text(text: str | Text) -> str:
    return text.text if isinstance(text, Text) else text


def join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
