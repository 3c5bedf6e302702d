"""Cron expressions as Application Auto Scaling takes them: cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR).

They are EventBridge's, not those of crontab: six fields, weekdays from 1 for Sunday, and of the two kinds of day one is
said and the other left open with "?" (Amazon EventBridge user guide, "Cron expressions reference").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()
    """Of the values from the lowest on."""
    special: str = r"(?!)"
    """A pattern of what only this field knows."""

    def fault(self, text: str) -> str | None:
        for item in text.split(","):
            if not self._is_item(item):
                named = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
                return f"has the {self.name} {text!r}; expected {self.lowest} to {self.highest}{named}, *, or a list"
        return None

    def _is_item(self, item: str) -> bool:
        if re.fullmatch(self.special, item):
            return True
        values, slash, step = item.partition("/")
        if slash and not (step.isdecimal() and int(step) > 0):
            return False
        if values == "*":
            return True
        first, dash, last = values.partition("-")
        start, end = self._value(first), self._value(last) if dash else None
        return start is not None and (not dash or end is not None)

    def _value(self, text: str) -> int | None:
        if text.upper() in self.names:
            return self.lowest + self.names.index(text.upper())
        if text.isdecimal() and self.lowest <= int(text) <= self.highest:
            return int(text)
        return None


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31, special=r"\?|L|([1-9]|[12]\d|3[01])W"),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 1, 7, _DAYS, special=r"\?|L|[1-7]L|[1-7]#[1-5]"),
    _Field("year", 1970, 2199),
)


def cron_faults(expression: str) -> Iterator[str]:
    """What keeps AWS from taking the expression, in words that follow "is 'EXPRESSION', which …"."""
    inside = re.fullmatch(r"cron\((.*)\)", expression)
    fields = inside[1].split() if inside else []
    if len(fields) != len(_FIELDS):
        yield "is no cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR), such as cron(0 7 ? * MON-FRI *)"
        return
    yield from filter(None, (field.fault(text) for field, text in zip(_FIELDS, fields, strict=True)))
    if (fields[2] == "?") == (fields[4] == "?"):
        yield 'needs a "?" for the day of the month or the day of the week, whichever the other decides'
