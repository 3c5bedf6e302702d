"""Moments of time as logs and exports write them: ISO 8601 or seconds since 1970, in several units."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()

EXPECTED = "expected ISO 8601 with a time, such as 2026-11-01T08:00:00Z, or the time since 1970 in s, ms, µs or ns"

_NUMBER = re.compile(r"[+]?\d+(\.\d*)?([eE][+]?\d+)?")
LEAST_CHARACTERS = len("2026-11-01T08:00")


def is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text))


def unit_of(value: float) -> float:
    """Seconds in the unit that a time since 1970 is in: each is a thousand times the next for any date of ours."""
    return next((unit for unit, most in ((1.0, 1e11), (1e-3, 1e14), (1e-6, 1e17)) if value < most), 1e-9)


def parse_moment(text: str, unit: float | None = None) -> tuple[float, bool]:
    """Seconds since 1970 UTC, and whether the text told its time zone; without one UTC is assumed.

    unit: seconds in the unit of a number; None: as its size tells. Raises ValueError, which says what was expected.
    """
    text = text.strip()
    try:
        if is_number(text):
            value = float(text)
            seconds, told = value * (unit or unit_of(value)), True
        else:
            if len(text) < LEAST_CHARACTERS:
                raise ValueError(text)
            moment = datetime.fromisoformat(text.replace("/", "-"))
            told = moment.tzinfo is not None
            seconds = ((moment if told else moment.replace(tzinfo=UTC)) - EPOCH).total_seconds()
    except (ValueError, OverflowError):
        raise ValueError(EXPECTED) from None
    if not (math.isfinite(seconds) and EARLIEST <= seconds < LATEST):
        raise ValueError("expected a time between the years 2000 and 2100")
    return seconds, told


def as_datetime(seconds: float) -> datetime:
    """Whole seconds, UTC."""
    return datetime.fromtimestamp(int(seconds), UTC)
