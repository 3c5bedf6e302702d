"""A week's 168 hours from a table of days and hours."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK = tuple(map(str, range(24)))
HOURS = len(DAYS) * len(CLOCK)

Profile = float | list[float] | dict[str, float]
"""Of a day: one rate, 24 rates, or rates by hours as in {"0-7" = 2, "8-23" = 20}, where 8-23 ends with hour 23."""


def hour_name(hour: int) -> str:
    """An hour of the week as people say it; 0 is Monday's first."""
    day, clock = divmod(hour % HOURS, len(CLOCK))
    return f"{DAYS[day].capitalize()} {clock:02d}:00 UTC"


def expand_week(week: Mapping[str, Profile]) -> tuple[float, ...]:
    """(168,) rates from Monday 00:00 on. Raises ValueError with everything that is missing, twice or no rate."""
    rates: dict[str, Sequence[float]] = {}
    problems: list[str] = []
    for key, profile in week.items():
        days, unknown = _spread(key, DAYS)
        hours, wrong = _day(profile)
        problems += [f"{key}: {problem}" for problem in (*unknown, *wrong)]
        problems += [f"{day} is given twice, the second time by {key!r}" for day in days if day in rates]
        rates.update(dict.fromkeys(days, hours))
    if missing := [day for day in DAYS if day not in rates]:
        problems.append(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; expected every day")
    if not problems and not sum(map(sum, rates.values())) > 0:
        problems.append("every rate is 0")
    if problems:
        raise ValueError("; ".join(problems))
    return tuple(float(rate) for day in DAYS for rate in rates[day])


def _day(profile: Profile) -> tuple[list[float], list[str]]:
    """24 rates, and what is wrong with them."""
    if isinstance(profile, list):
        problems = [] if len(profile) == len(CLOCK) else [f"has {len(profile)} hours; expected {len(CLOCK)}"]
        return profile, problems + _no_rates(profile)
    if not isinstance(profile, dict):
        return [profile] * len(CLOCK), _no_rates([profile])
    rates: dict[str, float] = {}
    problems = _no_rates(profile.values())
    for key, rate in profile.items():
        hours, unknown = _spread(key, CLOCK)
        problems += unknown
        problems += [f"hour {hour} is given twice" for hour in hours if hour in rates]
        rates.update(dict.fromkeys(hours, rate))
    if missing := [hour for hour in CLOCK if hour not in rates]:
        problems.append(f"hours {', '.join(missing)} are missing")
    return [rates.get(hour, 0.0) for hour in CLOCK], problems


def _no_rates(rates: Iterable[float]) -> list[str]:
    wrong = [rate for rate in rates if not (math.isfinite(rate) and rate >= 0)]
    return [f"has the rate {rate:g}; expected a finite number of at least 0" for rate in wrong]


def _spread(key: str, names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The names that a key such as 'mon-fri', '22-5' or 'tue, thu' stands for, and what it says that is none."""
    found: list[str] = []
    problems: list[str] = []
    for part in key.split(","):
        ends = [end.strip().casefold().lstrip("0") or "0" for end in re.split(r"[-–]", part)]
        if len(ends) > 2 or any(end not in names for end in ends):
            problems.append(f"{part.strip()!r} is none of {names[0]} to {names[-1]}")
            continue
        first, last = names.index(ends[0]), names.index(ends[-1])
        found += [names[at % len(names)] for at in range(first, last + 1 + (len(names) if last < first else 0))]
    return found, problems
