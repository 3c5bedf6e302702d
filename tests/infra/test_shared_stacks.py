"""Stacks that several plans share: a deploy of one must not take away what the stacks of another import."""

from __future__ import annotations

import msgspec
import pytest

SHARED = ("RerankFoundation", "RerankData", "RerankNetwork")


def _exports(assembly):
    return {
        stack.stack_name: {
            output["Export"]["Name"] for output in stack.template["Outputs"].values() if "Export" in output
        }
        for stack in assembly.stacks
        if stack.stack_name in SHARED
    }


@pytest.mark.parametrize("fleet", ["every_mode", "every_mode_in_a_network"])
def test_they_export_the_same_whatever_a_plan_deploys(fleet, request, synthesise):
    plan = request.getfixturevalue(fleet)
    whole = _exports(synthesise(plan))
    assert all(whole.values())
    for deployment in plan.deployments:
        alone = _exports(synthesise(msgspec.structs.replace(plan, deployments=[deployment])))
        assert alone == {stack: whole[stack] for stack in alone}
        assert "RerankFoundation" in alone
