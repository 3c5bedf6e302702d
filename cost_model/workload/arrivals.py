"""When requests come: the week's course, how bursty they are, and the trace that tells of both."""

from __future__ import annotations

from typing import Annotated

import msgspec

from cost_model.workload.checks import endless, refuse
from cost_model.workload.week import HOURS, Profile, expand_week

Rate = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]

SCALE_S = 60
"""Seconds over which an index of dispersion is stated where nothing else is said: CloudWatch's usual period."""

MOST_DISPERSION = 10_000.0


class Arrivals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The week's course is a shape: where requests_per_second is given too, it is scaled to that mean."""

    hours: tuple[Rate, ...] = ()
    """Requests a second in each of the 168 hours of the week, from Monday 00:00 UTC on; empty: always the same."""
    week: dict[str, Profile] = {}
    """The same by days and hours, as in {mon-fri = {"0-7" = 2, "8-18" = 20, "19-23" = 6}, sat-sun = 3}."""
    trace: str | None = None
    """File of arrival times, or of invocations a period as CloudWatch exports them; relative to the workload's."""
    trace_column: str | None = None
    """The CSV column that holds the times, where its name doesn't tell."""
    trace_period_seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None
    """Of CloudWatch's datapoints, where they don't tell."""
    dispersion: Annotated[float, msgspec.Meta(ge=1, le=MOST_DISPERSION)] | None = None
    """Index of dispersion: variance over mean of the requests in `dispersion_seconds`. 1 is Poisson; None: measured
    of the trace, without one 1."""
    dispersion_seconds: Annotated[int, msgspec.Meta(ge=1, le=3600)] = SCALE_S

    def __post_init__(self) -> None:
        problems = endless(self)
        if self.hours and len(self.hours) != HOURS:
            problems.append(f"hours has {len(self.hours)} numbers; expected {HOURS}, from Monday 00:00 UTC on")
        if self.hours and not 0 < sum(self.hours) < float("inf"):
            problems.append("hours adds up to nothing that can be scaled; expected finite rates, one of them above 0")
        if 3600 % self.dispersion_seconds:
            problems.append(
                f"dispersion_seconds is {self.dispersion_seconds}; expected a divisor of 3600, such as 1, 10, 60 or 300"
            )
        if self.week:
            try:
                expand_week(self.week)
            except ValueError as error:
                problems.append(f"week: {error}")
        refuse(problems)

    @property
    def hourly(self) -> tuple[float, ...]:
        """(168,) requests a second as they were given or measured; empty where the rate is constant."""
        return self.hours or (expand_week(self.week) if self.week else ())
