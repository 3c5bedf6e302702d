"""The app as the `cdk` command runs it: from any directory, without credentials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.options import DEFAULT_PLAN
from infra.plan import read_plan

ROOT = Path(__file__).parents[2]
APP = f"{sys.executable} -P -m infra"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """No credentials, no region, no network; tools from the environment that runs the tests."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    dead = "http://127.0.0.1:9"
    return {
        "PATH": path,
        "HOME": str(tmp_path),
        "CDK_DISABLE_CLI_TELEMETRY": "1",
        "HTTP_PROXY": dead,
        "HTTPS_PROXY": dead,
    }


def _run(*command: str, cwd: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def _names() -> list[str]:
    return ["RerankFoundation", *(deployment.stack for deployment in read_plan(DEFAULT_PLAN).deployments)]


def test_cdk_lists_the_same_stacks_from_any_directory(tmp_path, environment):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (tmp_path / "infra").mkdir()  # as many a repository has
    for cwd, output, options in ((ROOT, inside, []), (tmp_path, outside, ["--app", APP, "--no-notices"])):
        result = _run("cdk", *options, "ls", "--output", str(output), cwd=cwd, environment=environment)
        assert result.returncode == 0, result.stderr
        assert sorted(result.stdout.split()) == sorted(_names())
    for name in _names():
        templates = [json.loads((out / f"{name}.template.json").read_text()) for out in (inside, outside)]
        assert templates[0] == templates[1]


def test_faults_of_a_plan_are_printed_without_a_traceback(tmp_path, environment):
    plan = json.loads(DEFAULT_PLAN.read_text())
    plan["deployments"][3]["instance"] = "ml.c7i.tiny"
    plan["deployments"][4]["count"] = -1
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan))
    environment["CDK_CONTEXT_JSON"] = json.dumps({"plan": str(file)})
    result = _run(sys.executable, "-P", "-m", "infra", cwd=tmp_path, environment=environment)
    assert result.returncode == 2
    assert str(file) in result.stderr
    assert "deployments[4].count" in result.stderr
    assert "Traceback" not in result.stderr
