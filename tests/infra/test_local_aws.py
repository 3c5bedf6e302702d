"""Whether the local AWS has what the stacks are made of."""

from __future__ import annotations

import msgspec

from infra.options import Options
from rerank_toolkit.contracts.plan import Plan
from rerank_toolkit.local_sagemaker.cloudformation.resources import TYPES

from .conftest import Synthesiser

RECORDED_ONLY = {"AWS::CodeBuild::Project"}
"""Nothing is built on loopback: the local AWS has the images, as this installation's own program."""


def test_the_local_aws_makes_every_type_but_what_builds_images(
    every_mode: Plan, every_mode_in_a_network: Plan, synthesise: Synthesiser
) -> None:
    serverless = [deployment for deployment in every_mode.deployments if deployment.mode == "serverless"]
    plans = (msgspec.structs.replace(every_mode, deployments=serverless), every_mode_in_a_network)
    used = {
        resource["Type"]
        for plan in plans
        for stack in synthesise(plan, Options(images=True)).stacks
        for resource in stack.template["Resources"].values()
    }
    assert used - set(TYPES) == RECORDED_ONLY
