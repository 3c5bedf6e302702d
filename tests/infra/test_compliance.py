"""What cdk-nag and cfn-lint make of the stacks: every finding is either mended or acknowledged with its reason."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import cdk_nag
import pytest
from cfnlint import api as cfn_lint

from infra.app import add_stacks, new_app
from infra.options import Options

PACKS = [
    cdk_nag.AwsSolutionsChecks,
    cdk_nag.HIPAASecurityChecks,
    cdk_nag.NIST80053R5Checks,
    cdk_nag.PCIDSS321Checks,
    cdk_nag.ServerlessChecks,
]


@pytest.fixture(params=["SageMaker's network", "a network of our own"])
def fleet(request, every_mode, every_mode_in_a_network):
    return every_mode if request.param == "SageMaker's network" else every_mode_in_a_network


def test_nag_finds_nothing(fleet, tmp_path: Path):
    app = new_app(str(tmp_path))
    cdk.Validations.of(app).add_plugins(*(pack(app) for pack in PACKS))
    add_stacks(app, fleet, Options(images=True))
    app.synth()  # raises with the findings, if there are any


def test_nag_would_find_a_wildcard(plan, deployment, tmp_path: Path):
    app = new_app(str(tmp_path))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    (stack,) = add_stacks(app, plan(deployment()), Options())
    role = stack.node.find_child("ExecutionRole")
    role.add_to_policy(cdk.aws_iam.PolicyStatement(actions=["s3:*"], resources=["*"]))
    with pytest.raises(RuntimeError, match=r"[Vv]alidation"):
        app.synth()


def test_cfn_lint_finds_nothing(fleet, synthesise):
    for stack in synthesise(fleet, Options(images=True)).stacks:
        findings = cfn_lint.lint_file(Path(stack.template_full_path))
        assert [str(finding) for finding in findings] == []
