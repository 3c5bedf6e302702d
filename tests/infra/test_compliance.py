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


@pytest.fixture
def fleet(plan, deployment, scaling):
    return plan(
        deployment(scaling=scaling(), environment={"RERANK_TOKEN_BUDGET": "4096"}),
        deployment(stack="RerankTinyGpu", instance="ml.g5.xlarge", dtype="fp16"),
    )


@pytest.mark.parametrize("pack", PACKS)
def test_nag_finds_nothing(pack, fleet, tmp_path: Path):
    app = new_app(str(tmp_path))
    cdk.Validations.of(app).add_plugins(pack(app))
    add_stacks(app, fleet, Options())
    app.synth()  # raises with the findings, if there are any


def test_nag_would_find_a_wildcard(fleet, tmp_path: Path):
    app = new_app(str(tmp_path))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    (stack, _) = add_stacks(app, fleet, Options())
    role = stack.node.find_child("ExecutionRole")
    role.add_to_policy(cdk.aws_iam.PolicyStatement(actions=["s3:*"], resources=["*"]))
    with pytest.raises(RuntimeError, match=r"[Vv]alidation"):
        app.synth()


def test_cfn_lint_finds_nothing(fleet, synthesise):
    for stack in synthesise(fleet).stacks:
        findings = cfn_lint.lint_file(Path(stack.template_full_path))
        assert [str(finding) for finding in findings] == []
