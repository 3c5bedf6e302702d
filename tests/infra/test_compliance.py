"""What cdk-nag and cfn-lint make of the stacks: every finding is either mended or acknowledged with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
import cdk_nag
import pytest
from cfnlint import api as cfn_lint
from cfnlint.config import ManualArgs

from infra.app import add_stacks, new_app
from infra.options import Options

PACKS = [
    cdk_nag.AwsSolutionsChecks,
    cdk_nag.HIPAASecurityChecks,
    cdk_nag.NIST80053R5Checks,
    cdk_nag.PCIDSS321Checks,
    cdk_nag.ServerlessChecks,
]


@pytest.fixture(params=["every_mode", "every_mode_in_a_network", "in_subnets_that_exist"])
def fleet(request):
    return request.getfixturevalue(request.param)


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
    templates = [stack.template_full_path for stack in synthesise(fleet, Options(images=True)).stacks]
    findings = cfn_lint.lint_by_config(ManualArgs(templates=templates))
    assert [str(finding) for finding in findings] == []


def test_cfn_lint_would_find_a_fault(tmp_path: Path):
    template = tmp_path / "template.json"
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 2}}
    template.write_text(json.dumps({"Resources": {"Logs": group}}))
    (finding,) = cfn_lint.lint_by_config(ManualArgs(templates=[str(template)]))
    assert "RetentionInDays" in str(finding) or "2 is not one of" in str(finding)
