"""The repository of the images, and what builds them in the account."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from infra.image import DOCKERFILE
from infra.image_builder import BUILDSPEC
from infra.image_repository import REPOSITORY
from infra.images_stack import IMAGES
from infra.options import DEFAULT_PLAN, Options
from infra.plan import read_plan
from rerank_toolkit import __version__


@pytest.fixture
def assembly(plan, deployment, synthesise):
    return synthesise(plan(deployment()), Options(images=True))


@pytest.fixture
def template(assembly):
    return assembly.get_stack_by_name(IMAGES).template


def _only(template, kind):
    (resource,) = (resource for resource in template["Resources"].values() if resource["Type"] == kind)
    return resource


def test_there_is_no_such_stack_unless_it_is_asked_for(plan, deployment, synthesise):
    assert IMAGES not in [stack.stack_name for stack in synthesise(plan(deployment())).stacks]


def test_the_repository_keeps_what_it_has_as_it_is_and_scans_it(template):
    repository = _only(template, "AWS::ECR::Repository")["Properties"]
    assert repository["RepositoryName"] == REPOSITORY
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert repository["EncryptionConfiguration"] == {"EncryptionType": "KMS"}
    (rule,) = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"]["countType"] == "imageCountMoreThan"


def test_destroying_it_leaves_no_image_that_bills(template):
    repository = _only(template, "AWS::ECR::Repository")
    assert (repository["DeletionPolicy"], repository["Properties"]["EmptyOnDelete"]) == ("Delete", True)


def test_only_builds_push(template):
    (statement,) = _only(template, "AWS::ECR::Repository")["Properties"]["RepositoryPolicyText"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", {"AWS": "*"})
    assert "ecr:PutImage" in statement["Action"]
    (builder,) = statement["Condition"]["ArnNotEquals"].values()
    assert builder["Fn::GetAtt"][0].startswith("BuildRole")


def test_the_source_is_what_the_dockerfile_copies_and_no_more(assembly):
    assets = json.loads((Path(assembly.directory) / f"{IMAGES}.assets.json").read_text())["files"]
    (source,) = (asset for asset in assets.values() if asset["source"]["packaging"] == "zip")
    folder = Path(assembly.directory) / source["source"]["path"]
    dockerfile = (folder / DOCKERFILE).read_text()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, flags=re.MULTILINE):
        for name in line.split():
            assert (folder / name).exists(), name
    assert not (folder / "infra").exists()
    assert not (folder / "rerank_toolkit" / "client").exists()


def test_there_is_a_command_for_each_image_that_plans_name(template):
    words = [shlex.split("".join(map(str, _parts(output["Value"])))) for output in template["Outputs"].values()]
    started = [_overrides(command) for command in words if command[:3] == ["aws", "codebuild", "start-build"]]
    assert sorted(variables["TAG"] for variables in started) == [
        f"{name}-{__version__}" for name in ("cpu", "cpu-arm64", "gpu")
    ]
    assert all(variables["TAG"].startswith(variables["TARGET"]) for variables in started)
    named = {deployment.image.tag for deployment in read_plan(DEFAULT_PLAN).deployments if deployment.image}
    assert named <= {variables["TAG"] for variables in started}


def _parts(value):
    return value["Fn::Join"][1] if isinstance(value, dict) else [value]


def _overrides(command):
    pairs = [word for word in command if word.startswith("name=")]
    return dict(re.fullmatch("name=(.*),value=(.*)", pair).groups() for pair in pairs)


def test_arm_is_built_on_arm(template):
    kinds = {
        project["Properties"]["Environment"]["Type"]: project["Properties"]["Environment"]["Image"]
        for project in template["Resources"].values()
        if project["Type"] == "AWS::CodeBuild::Project"
    }
    assert "x86_64" in kinds.pop("LINUX_CONTAINER")
    assert "aarch64" in kinds.pop("ARM_CONTAINER")
    assert kinds == {}


@pytest.fixture
def machine(tmp_path: Path):
    """A stand for the build machine: its aws and docker write down how they are called."""
    calls = tmp_path / "calls"
    for name, body in {
        "aws": 'case "$*" in *describe-images*) exit ${FOUND:-1};; *) echo password;; esac',
        "docker": 'case "$1" in inspect) echo "$REPOSITORY@sha256:0a";; login) cat > /dev/null;; esac',
    }.items():
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >> {calls}\n{body}\n')
        program.chmod(0o755)

    def run(**variables: str) -> tuple[int, str, str]:
        phases = json.loads(BUILDSPEC.read_text())["phases"].values()
        script = "\n".join(["set -e", *(command for phase in phases for command in phase["commands"])])
        environment = {
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "REPOSITORY": "123456789012.dkr.ecr.us-east-1.amazonaws.com/rerank-toolkit",
            **json.loads(BUILDSPEC.read_text())["env"]["variables"],
            **variables,
        }
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, calls.read_text()

    return run


def test_a_build_pushes_its_target_under_its_tag_and_tells_the_digest(machine):
    code, told, calls = machine(TARGET="gpu", TAG="gpu-7")
    assert code == 0
    assert "docker build --file inference_container/Dockerfile --target gpu --build-arg BASE_IMAGE=public.ecr" in calls
    assert "--output type=docker" in calls  # SageMaker takes no other manifest
    assert "docker push 123456789012.dkr.ecr.us-east-1.amazonaws.com/rerank-toolkit:gpu-7" in calls
    assert "-c image=rerank-toolkit@sha256:0a" in told


def test_a_build_under_a_tag_that_exists_ends_before_it_begins(machine):
    code, told, calls = machine(TARGET="cpu", TAG="cpu-7", FOUND="0")
    assert code == 1
    assert "rerank-toolkit:cpu-7 exists already" in told
    assert "docker build" not in calls
