"""While one version gives way to another, both can be fetched."""

from __future__ import annotations

import pytest

from rerank_toolkit.contracts.plan import Image, ModelPackageArtifact, S3Artifact


def _policies(template):
    return {name for name, item in template["Resources"].items() if item["Type"] == "AWS::IAM::Policy"}


def _named(resources, kind):
    return {resource["Properties"]["PolicyName"] for resource in resources.resources(kind)}


@pytest.fixture(params=["realtime", "inference-component", "batch"])
def version(deployment, request):
    """Makes a version of a deployment whose role is one of those that fetch."""
    memory_mb = 2048 if request.param == "inference-component" else None
    return lambda **changes: deployment(mode=request.param, memory_mb=memory_mb, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"artifact": S3Artifact(uri="s3://models/tiny/next.tar.gz")},
        {"image": Image(repository="another", tag="cpu-0.2.0")},
    ],
)
def test_another_version_has_a_policy_of_its_own_and_the_same_role(render, version, changes):
    before, after = render(version()), render(version(**changes))

    assert _policies(before).isdisjoint(_policies(after))
    assert _named(before, "AWS::IAM::Policy").isdisjoint(_named(after, "AWS::IAM::Policy"))
    assert before.resources("AWS::IAM::Role") == after.resources("AWS::IAM::Role")


def test_settings_leave_the_policy_alone(render, version):
    assert _policies(render(version())) == _policies(render(version(environment={"RERANK_WORKERS": "1"})))


def test_a_model_waits_for_what_lets_it_be_fetched(render, deployment, variant):
    template = render(deployment(variants=[variant()]))
    (policy,) = _policies(template)
    models = template.resources("AWS::SageMaker::Model")
    assert len(models) == 2
    assert all(policy in model["DependsOn"] for model in models)


def test_a_package_is_fetched_by_its_seller(render, deployment):
    package = ModelPackageArtifact(arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/reranker-v2")
    assert _policies(render(deployment(artifact=package, image=None))) == set()
