"""What `cdk -c name=value` can say."""

from __future__ import annotations

from pathlib import Path

import pytest
from constructs import Node, RootConstruct

from infra.options import DEFAULT_PLAN, Options
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.plan import Image, LocalArtifact

DIGEST = f"sha256:{'0a' * 32}"


def _node(**context: str) -> Node:
    node = RootConstruct().node
    for name, value in context.items():
        node.set_context(name, value)
    return node


def test_without_context_the_plan_that_ships_is_taken():
    assert Options.from_context(_node()) == Options(plan=DEFAULT_PLAN)


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("rerank-toolkit:cpu-0.2.0", Image(repository="rerank-toolkit", tag="cpu-0.2.0")),
        (f"team/rerank@{DIGEST}", Image(repository="team/rerank", digest=DIGEST)),
    ],
)
def test_an_image_is_named_by_tag_or_digest(text, image):
    assert Options.from_context(_node(image=text)).image == image


@pytest.mark.parametrize(
    ("context", "field"),
    [
        ({"image": "rerank-toolkit"}, "image"),
        ({"image": ""}, "image"),
        ({"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/rerank-toolkit:cpu"}, "image"),
        ({"image": "rerank-toolkit@sha256:0a"}, "image"),
        ({"build": "kaniko"}, "build"),
        ({"image": "rerank-toolkit:cpu", "build": "docker"}, "build"),
        ({"scaling": "on"}, "scaling"),
    ],
)
def test_a_malformed_value_is_refused_by_name(context, field):
    with pytest.raises(InvalidInput) as refused:
        Options.from_context(_node(**context))
    assert [fault.field for fault in refused.value.faults] == [field]


def test_images_can_be_built_here_or_in_the_account():
    assert Options.from_context(_node(build="docker"), {}).build == "docker"
    assert Options.from_context(_node(build="codebuild"), {}) == Options(images=True)


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_another_builder_has_to_be_the_one_that_cdk_runs_in_the_format_that_sagemaker_takes(builder):
    ready = {"CDK_DOCKER": f"/usr/bin/{builder}", "BUILDAH_FORMAT": "docker"}
    assert Options.from_context(_node(build=builder), ready).build == builder
    with pytest.raises(InvalidInput) as refused:
        Options.from_context(_node(build=builder), {"CDK_DOCKER": "docker"})
    assert [fault.message for fault in refused.value.faults] == [
        f"is {builder}, but the variable CDK_DOCKER is 'docker'; expected {builder}",
        f"is {builder}, but the variable BUILDAH_FORMAT is ''; expected docker",
    ]


def test_scaling_is_as_the_plan_says_unless_it_is_off():
    assert Options.from_context(_node()).scaling is True
    assert Options.from_context(_node(scaling="off")).scaling is False


def test_artifacts_are_found_from_the_repository_whatever_the_working_directory(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = Path(__file__).parents[2] / "artifacts" / "tiny"
    assert Options().locate(LocalArtifact(path="artifacts/tiny")) == expected


def test_artifacts_can_lie_in_another_folder(tmp_path: Path):
    options = Options.from_context(_node(artifacts=str(tmp_path)))
    assert options.locate(LocalArtifact(path="artifacts/tiny")) == tmp_path / "tiny"
    assert options.locate(LocalArtifact(path="/elsewhere/tiny")) == Path("/elsewhere/tiny")
