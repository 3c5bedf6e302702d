"""What CloudFormation is asked for. The goldens are a public surface: a change in them is a change in live stacks."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from syrupy.extensions.json import JSONSnapshotExtension

from infra.app import add_stacks, new_app
from infra.checks import check_plan
from infra.options import DEFAULT_PLAN, Options
from infra.outputs import EXAMPLE
from infra.plan import read_plan
from rerank_toolkit.contracts.plan import Image, LocalArtifact, ModelPackageArtifact

GOLDEN = Path(__file__).parents[1] / "golden" / "infra" / "test_templates"


PACKAGE = ModelPackageArtifact(arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/reranker-v2")

WITHOUT_TAGS = {
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::SNS::TopicPolicy",
}
"""Types that know none, by their schemas."""


class Golden(JSONSnapshotExtension):
    @classmethod
    def dirname(cls, **_: object) -> str:
        return str(GOLDEN)


@pytest.fixture
def cpu(deployment, scaling):
    return deployment(scaling=scaling(), environment={"RERANK_TOKEN_BUDGET": "4096"})


@pytest.fixture
def gpu(deployment):
    return deployment(
        stack="RerankTinyGpu",
        artifact=LocalArtifact(path="artifacts/jina-reranker-v1-tiny-en-fp16"),
        image=Image(repository="rerank-toolkit", digest=f"sha256:{'0a' * 32}"),
        dtype="fp16",
        instance="ml.g5.xlarge",
        startup_timeout_s=900,
        expected=deployment().expected.__class__(basis="no price for this region"),
    )


@pytest.fixture
def assembly(plan, cpu, gpu, synthesise, tmp_path):
    return synthesise(plan(cpu, gpu), Options(artifacts=tmp_path))


@pytest.mark.parametrize("stack", ["RerankFoundation", "RerankTinyCpu", "RerankTinyGpu"])
def test_golden(stack, assembly, snapshot):
    assert assembly.get_stack_by_name(stack).template == snapshot(extension_class=Golden)


@pytest.fixture(scope="module")
def all_modes(every_mode, tmp_path_factory):
    assert check_plan(every_mode) == []
    app = new_app(str(tmp_path_factory.mktemp("modes")))
    add_stacks(app, every_mode, Options())
    return app.synth()


@pytest.mark.parametrize(
    "stack",
    [
        *("RerankRealtime", "RerankShadowed", "RerankPackage", "RerankServerless"),
        *("RerankAsync", "RerankBatch", "RerankData", "RerankComponent"),
    ],
)
def test_golden_of_each_mode(stack, all_modes, snapshot):
    assert all_modes.get_stack_by_name(stack).template == snapshot(extension_class=Golden)


def test_the_endpoint_is_named_and_what_it_replaces_is_not(render, cpu):
    template = render(cpu)
    assert template.one("AWS::SageMaker::Endpoint")["EndpointName"] == "RerankTinyCpu"
    assert "ModelName" not in template.one("AWS::SageMaker::Model")
    assert "EndpointConfigName" not in template.one("AWS::SageMaker::EndpointConfig")


@pytest.mark.parametrize(
    ("instance", "has_key"), [("ml.c7i.xlarge", True), ("ml.m5d.xlarge", False), ("ml.g5.xlarge", False)]
)
def test_storage_is_encrypted_under_our_key_where_the_instance_takes_one(render, deployment, instance, has_key):
    template = render(deployment(instance=instance))
    assert ("KmsKeyId" in template.one("AWS::SageMaker::EndpointConfig")) is has_key
    assert ("kms:CreateGrant" in json.dumps(template.one("AWS::IAM::Role"))) is has_key


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({"instance": "ml.g4dn.xlarge"}, True),
        ({"instance": "ml.c7i.xlarge"}, False),
        ({"instance": "ml.g4dn.xlarge", "artifact": PACKAGE, "image": None}, False),
    ],
)
def test_a_gpu_gets_a_driver_that_our_image_can_use(render, deployment, changes, chosen):
    template = render(deployment(**changes))
    (variant,) = template.one("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert ("InferenceAmiVersion" in variant) is chosen


def test_without_scaling_the_fleet_is_fixed(render, deployment):
    template = render(deployment(count=3))
    (variant,) = template.one("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert variant["InitialInstanceCount"] == 3
    assert template.resources("AWS::ApplicationAutoScaling::ScalableTarget") == []


def test_the_model_cannot_reach_the_network(render, deployment):
    template = render(deployment())
    assert template.one("AWS::SageMaker::Model")["EnableNetworkIsolation"] is True


def test_the_description_tells_what_it_runs_and_costs(assembly):
    assert assembly.get_stack_by_name("RerankTinyCpu").template["Description"] == (
        "jina-reranker-v1-tiny-en (torch fp32) on 1 to 4 x ml.c7i.xlarge, "
        "expected $156.22 a month at prices of 2026-09-22, plan spring"
    )
    assert assembly.get_stack_by_name("RerankTinyGpu").template["Description"] == (
        "jina-reranker-v1-tiny-en (torch fp16) on 1 x ml.g5.xlarge, monthly cost unknown, plan spring"
    )


def test_templates_are_ascii_for_cloudformation_keeps_no_more_of_a_description(all_modes):
    for stack in all_modes.stacks:
        assert json.dumps(stack.template, ensure_ascii=False).isascii(), stack.stack_name


def test_everything_is_tagged(every_mode, all_modes):
    for deployment in every_mode.deployments:
        expected = {"project": "rerank-toolkit", "plan": "spring", "model": "jina-reranker-v1-tiny-en"}
        for name, resource in all_modes.get_stack_by_name(deployment.stack).template["Resources"].items():
            if resource["Type"] in WITHOUT_TAGS:
                continue
            tags = resource["Properties"]["Tags"]
            pairs = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
            assert pairs == expected, (deployment.stack, name)


def test_destroy_leaves_nothing_that_bills(assembly, all_modes):
    for stack in all_modes.stacks:
        for name, resource in stack.template["Resources"].items():
            if resource["Type"] != "AWS::S3::BucketPolicy":  # goes with its bucket, and bills nothing
                assert resource.get("DeletionPolicy", "Delete") == "Delete", name
    logs = assembly.get_stack_by_name("RerankTinyCpu").template["Resources"]["Logs"]["Properties"]
    assert logs == logs | {"LogGroupName": "/aws/sagemaker/Endpoints/RerankTinyCpu", "RetentionInDays": 30}


def test_an_image_from_the_command_line_takes_the_place_of_the_plans(render, deployment):
    options = Options(image=Image(repository="mine", tag="7"))
    template = render(deployment(), options)
    image = template.one("AWS::SageMaker::Model")["PrimaryContainer"]["Image"]
    assert image["Fn::Join"][1][-1] == "/mine:7"


@pytest.mark.parametrize(
    ("instance", "built_for"),
    [
        ("ml.c7i.xlarge", ("cpu", "linux/amd64")),
        ("ml.c7g.xlarge", ("cpu", "linux/arm64")),
        ("ml.g5.xlarge", ("gpu", "linux/amd64")),
    ],
)
def test_the_image_can_be_built_from_the_repository(plan, deployment, synthesise, instance, built_for):
    target, platform = built_for
    assembly = synthesise(plan(deployment(instance=instance)), Options(build="docker"))
    assets = json.loads((Path(assembly.directory) / "RerankTinyCpu.assets.json").read_text())
    (image,) = assets["dockerImages"].values()
    assert (image["source"]["dockerBuildTarget"], image["source"]["platform"]) == (target, platform)
    context = Path(assembly.directory) / image["source"]["directory"]
    assert (context / image["source"]["dockerFile"]).exists()
    assert not (context / "rerank_toolkit" / "client").exists()
    assert not (context / "tests").exists()


def test_the_invoke_command_asks_this_endpoint(render, deployment):
    template = render(deployment())
    assert template["Outputs"]["EndpointName"]["Value"]["Fn::GetAtt"][1] == "EndpointName"
    command = template["Outputs"]["InvokeCommand"]["Value"]
    body, _, words = command.partition(" | ")
    assert json.loads(shlex.split(body)[1]) == EXAMPLE
    assert shlex.split(words)[:3] == ["aws", "sagemaker-runtime", "invoke-endpoint"]
    assert (
        "--endpoint-name RerankTinyCpu --content-type application/json --body fileb:///dev/stdin answer.json" in words
    )


def test_the_plan_that_ships_gives_a_stack_for_each_deployment(tmp_path):
    app = new_app(str(tmp_path / "cdk.out"))
    plan = read_plan(DEFAULT_PLAN)
    add_stacks(app, plan, Options(artifacts=tmp_path))
    names = [stack.stack_name for stack in app.synth().stacks]
    assert sorted(names) == sorted(["RerankFoundation", *(deployment.stack for deployment in plan.deployments)])
