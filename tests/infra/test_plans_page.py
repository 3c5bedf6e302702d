"""docs/plans.md: what it shows can be deployed, and what it says holds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from infra.checks import check_plan
from infra.settings import request_limits
from rerank_toolkit.contracts.faults import collect_faults
from rerank_toolkit.contracts.plan import Mode, Plan

PAGE = (Path(__file__).parents[2] / "docs" / "plans.md").read_text()
HEADER, *DEPLOYMENTS = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
MODES = get_args(Mode)
IN_ONES = {"s": 1, "h": 3600, "MB": 1, "GB": 1024}


def _plan(*deployments):
    document = HEADER | {"deployments": deployments}
    assert collect_faults(json.loads(json.dumps(document)), Plan) == []
    return msgspec.convert(document, Plan)


def test_every_mode_is_shown():
    assert {one["mode"] for one in DEPLOYMENTS} == set(MODES)


@pytest.mark.parametrize("document", DEPLOYMENTS, ids=lambda one: one["mode"])
def test_what_is_shown_is_sound(document):
    assert check_plan(_plan(document)) == []


def test_what_is_shown_is_rendered(synthesise):
    stacks = {stack.stack_name for stack in synthesise(_plan(*DEPLOYMENTS)).stacks}
    assert {one["stack"] for one in DEPLOYMENTS} <= stacks


@pytest.mark.parametrize("mode", MODES)
def test_the_limits_are_those_that_hold(mode):
    (row,) = re.findall(rf"^\| `{mode}` \| [^|]+ \| (\d+) (\w+) \| (\d+) (\w+) \|", PAGE, re.MULTILINE)
    time, time_unit, body, body_unit = row
    limits = request_limits(mode)
    assert int(time) * IN_ONES[time_unit] == limits.timeout_s
    assert int(body) * IN_ONES[body_unit] == limits.payload_mb
