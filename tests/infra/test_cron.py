"""Cron expressions: what Application Auto Scaling takes, and what it would refuse."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cron import cron_faults


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 7 ? * MON-FRI *)",
        "cron(30 6 ? * mon *)",
        "cron(0 20 * * ? *)",
        "cron(*/15 8-18/2 ? 1,APR,JUL-OCT 2-6 2026-2028)",
        "cron(0 0 L * ? *)",
        "cron(0 0 15W * ? *)",
        "cron(0 0 ? * 6L *)",
        "cron(0 0 ? * 2#1 *)",
    ],
)
def test_what_aws_takes_has_no_fault(expression):
    assert list(cron_faults(expression)) == []


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 7 ? * MON-FRI *", "is no cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR)"),
        ("cron(0 7 * * 1-5)", "is no cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR)"),
        ("rate(1 hour)", "is no cron("),
        ("cron(0 7 ? * MON-FRI *) ", "is no cron("),
        ("cron(60 7 ? * MON *)", "has the minute '60'; expected 0 to 59"),
        ("cron(0 24 ? * MON *)", "has the hour '24'"),
        ("cron(0 7 0 * ? *)", "has the day of the month '0'"),
        ("cron(0 7 32W * ? *)", "has the day of the month '32W'"),
        ("cron(0 7 ? 13 MON *)", "has the month '13'; expected 1 to 12 or JAN to DEC"),
        ("cron(0 7 ? * 0 *)", "has the day of the week '0'; expected 1 to 7 or SUN to SAT"),
        ("cron(0 7 ? * MON-DAY *)", "has the day of the week 'MON-DAY'"),
        ("cron(0 7 ? * 2#6 *)", "has the day of the week '2#6'"),
        ("cron(0 7 ? * MON 1969)", "has the year '1969'"),
        ("cron(? 7 ? * MON *)", "has the minute '?'"),
        ("cron(*/0 7 ? * MON *)", "has the minute '*/0'"),
        ("cron(, 7 ? * MON *)", "has the minute ','"),
        ("cron(0 7 * * * *)", 'needs a "?"'),
        ("cron(0 7 ? * ? *)", 'needs a "?"'),
    ],
)
def test_what_aws_would_refuse_is_told_in_words(expression, words):
    (fault,) = cron_faults(expression)
    assert words in fault


def test_every_field_at_fault_is_named():
    assert len(list(cron_faults("cron(60 24 ? 13 8 *)"))) == 4


@given(st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)), st.booleans())
def test_a_single_moment_is_always_taken(moment, by_weekday):
    days = f"? {moment.month} {moment.isoweekday()}" if by_weekday else f"{moment.day} {moment.month} ?"
    assert list(cron_faults(f"cron({moment.minute} {moment.hour} {days} {moment.year})")) == []


@given(st.text(max_size=40))
def test_no_text_breaks_it(text):
    assert all(isinstance(fault, str) for fault in [*cron_faults(text), *cron_faults(f"cron({text})")])
