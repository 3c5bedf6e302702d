"""Where a model comes from: an archive, files under a prefix, or the Marketplace."""

from __future__ import annotations

import pytest
from aws_cdk.cx_api import SynthesisMessageLevel

from infra.options import Options
from rerank_toolkit.contracts.plan import LocalArtifact, ModelPackageArtifact, S3Artifact

PACKAGE = ModelPackageArtifact(arn="arn:aws:sagemaker:us-east-1:865070037744:model-package/jina-reranker-v2-1")


def _container(template):
    return template.one("AWS::SageMaker::Model")["PrimaryContainer"]


def _statements(template):
    """What the role may do, of all its policies."""
    policies = [
        *template.one("AWS::IAM::Role")["Policies"],
        *(policy["Properties"] for policy in template.resources("AWS::IAM::Policy")),
    ]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def test_files_under_a_prefix_are_taken_as_they_are(render, deployment):
    container = _container(render(deployment(artifact=S3Artifact(uri="s3://models/tiny/v1/"))))
    assert "ModelDataUrl" not in container
    assert container["ModelDataSource"] == {
        "S3DataSource": {"S3Uri": "s3://models/tiny/v1/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    }


def test_the_role_reads_what_is_under_the_prefix_and_no_more(render, deployment):
    statements = _statements(render(deployment(artifact=S3Artifact(uri="s3://models/tiny/v1/"))))
    of_s3 = [one for one in statements if "s3:" in str(one["Action"])]
    assert of_s3 == [
        {"Action": "s3:GetObject", "Effect": "Allow", "Resource": "arn:aws:s3:::models/tiny/v1/*"},
        {
            "Action": "s3:ListBucket",
            "Effect": "Allow",
            "Resource": "arn:aws:s3:::models",
            "Condition": {"StringLike": {"s3:prefix": "tiny/v1/*"}},
        },
    ]


def test_a_package_brings_image_and_artifact_and_runs_isolated(render, deployment):
    template = render(deployment(artifact=PACKAGE, image=None))
    assert _container(template) == {"ModelPackageName": PACKAGE.arn}
    assert template.one("AWS::SageMaker::Model")["EnableNetworkIsolation"] is True
    actions = str(_statements(template))
    assert "s3:" not in actions
    assert "ecr:" not in actions


def test_a_package_is_told_only_what_the_plan_says(render, deployment):
    template = render(deployment(artifact=PACKAGE, image=None, environment={"SELLERS": "own"}))
    assert _container(template)["Environment"] == {"SELLERS": "own"}


def test_the_package_is_named_before_it_is_deployed(plan, deployment, synthesise):
    assembly = synthesise(plan(deployment(artifact=PACKAGE, image=None)))
    (message,) = assembly.get_stack_by_name("RerankTinyCpu").messages
    assert message.level == SynthesisMessageLevel.INFO
    assert PACKAGE.arn in message.entry.data


def test_a_variant_that_is_not_packaged_is_told_from_the_deployments_own(plan, deployment, variant, synthesise):
    local = LocalArtifact(path="artifacts/none")
    assembly = synthesise(plan(deployment(artifact=local, variants=[variant(artifact=local)])), Options(artifacts=None))
    template = assembly.get_stack_by_name("RerankTinyCpu").template
    urls = [
        one["Properties"]["PrimaryContainer"]["ModelDataUrl"]["Fn::Sub"].rpartition("/")[2]
        for one in template["Resources"].values()
        if one["Type"] == "AWS::SageMaker::Model"
    ]
    assert sorted(urls) == ["missing-RerankTinyCpu-other.tar.gz", "missing-RerankTinyCpu.tar.gz"]


@pytest.mark.parametrize(
    ("instance", "tag"),
    [("ml.c7i.xlarge", "cpu-0.1.0"), ("ml.c7g.xlarge", "cpu-arm64-0.1.0"), ("ml.g5.xlarge", "gpu-0.1.0")],
)
def test_an_image_says_by_its_tag_what_it_runs_on(render, deployment, instance, tag):
    image = _container(render(deployment(instance=instance)))["Image"]
    assert image["Fn::Join"][1][-1] == f"/rerank-toolkit:{tag}"
