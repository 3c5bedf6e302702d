"""A real-time endpoint: who answers, who only listens, and where a request goes."""

from __future__ import annotations

import json

import pytest

from infra.description import monthly_cost
from rerank_toolkit.contracts.plan import Image, S3Artifact


def _config(template):
    return template.one("AWS::SageMaker::EndpointConfig")


@pytest.fixture
def turbo(variant):
    return variant(
        name="turbo",
        model="jina-reranker-v1-turbo-en",
        artifact=S3Artifact(uri="s3://models/turbo/turbo.tar.gz"),
        weight=0.25,
    )


def test_variants_share_the_requests_by_weight(render, deployment, turbo):
    template = render(deployment(weight=0.75, variants=[turbo]))
    shares = {one["VariantName"]: one["InitialVariantWeight"] for one in _config(template)["ProductionVariants"]}
    assert shares == {"AllTraffic": 0.75, "turbo": 0.25}
    assert "ShadowProductionVariants" not in _config(template)


def test_each_variant_has_a_model_of_its_own(render, deployment, turbo):
    gpu = Image(repository="rerank-toolkit", tag="gpu-0.1.0")
    other = turbo.__class__(
        **{name: getattr(turbo, name) for name in turbo.__struct_fields__}
        | {"image": gpu, "instance": "ml.g5.xlarge", "count": 2, "startup_timeout_s": 900, "environment": {"A": "1"}}
    )
    template = render(deployment(variants=[other]))
    models = {name: one for name, one in template["Resources"].items() if one["Type"] == "AWS::SageMaker::Model"}
    variants = {one["VariantName"]: one for one in _config(template)["ProductionVariants"]}
    assert variants["turbo"]["InstanceType"] == "ml.g5.xlarge"
    assert variants["turbo"]["InitialInstanceCount"] == 2
    assert variants["turbo"]["ContainerStartupHealthCheckTimeoutInSeconds"] == 900
    assert "InferenceAmiVersion" in variants["turbo"]
    assert "InferenceAmiVersion" not in variants["AllTraffic"]
    containers = {
        name: models[one["ModelName"]["Fn::GetAtt"][0]]["Properties"]["PrimaryContainer"]
        for name, one in variants.items()
    }
    assert containers["AllTraffic"]["ModelDataUrl"] == "s3://models/tiny/tiny.tar.gz"
    assert containers["turbo"]["ModelDataUrl"] == "s3://models/turbo/turbo.tar.gz"
    assert containers["turbo"]["Image"]["Fn::Join"][1][-1] == "/rerank-toolkit:gpu-0.1.0"
    assert containers["turbo"]["Environment"]["A"] == "1"
    assert "A" not in containers["AllTraffic"]["Environment"]


def test_a_shadow_gets_copies_and_is_no_production_variant(render, deployment, shadow):
    config = _config(render(deployment(variants=[shadow])))
    assert [one["VariantName"] for one in config["ProductionVariants"]] == ["AllTraffic"]
    assert [one["VariantName"] for one in config["ShadowProductionVariants"]] == [shadow.name]


def test_one_variant_with_nvme_is_enough_for_no_key(render, deployment, variant):
    keyed = render(deployment(variants=[variant(instance="ml.m5.xlarge")]))
    keyless = render(deployment(variants=[variant(instance="ml.m5d.xlarge")]))
    assert "KmsKeyId" in _config(keyed)
    assert "KmsKeyId" not in _config(keyless)
    assert "kms:CreateGrant" not in json.dumps(keyless)


def test_a_request_goes_to_the_instance_with_the_fewest(render, deployment, turbo):
    for one in _config(render(deployment(variants=[turbo])))["ProductionVariants"]:
        assert one["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}


def test_an_update_keeps_counts_that_were_scaled_and_takes_the_plans_weights(render, deployment, scaling, turbo):
    endpoint = render(deployment(scaling=scaling(), variants=[turbo])).one("AWS::SageMaker::Endpoint")
    assert endpoint["RetainAllVariantProperties"] is True
    assert endpoint["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DesiredWeight"}]
    assert "RetainAllVariantProperties" not in render(deployment()).one("AWS::SageMaker::Endpoint")


def test_a_variant_scales_by_itself(render, deployment, scaling, variant):
    template = render(deployment(variants=[variant(name="turbo", scaling=scaling(max_instances=2))]))
    target = template.one("AWS::ApplicationAutoScaling::ScalableTarget")
    assert target["ResourceId"]["Fn::Join"][1][-1].endswith("variant/turbo")
    assert target["MaxCapacity"] == 2


def test_a_variant_called_like_a_resource_of_the_stack_is_in_nobodys_way(render, deployment, variant):
    names = ["Logs", "Endpoint", "Config", "Model", "a-b", "ab"]
    template = render(deployment(variants=[variant(name=name) for name in names]))
    assert len(template.resources("AWS::SageMaker::Model")) == len(names) + 1
    assert "on 1 x ml.c7i.xlarge with 14.3% of the requests, 6 variants beside it" in template["Description"]


def test_the_description_tells_who_gets_what(render, deployment, turbo, variant, shadow):
    split = render(deployment(weight=0.75, variants=[turbo]))
    assert split["Description"] == (
        "jina-reranker-v1-tiny-en (torch fp32) on 1 x ml.c7i.xlarge with 75.0% of the requests, "
        "jina-reranker-v1-turbo-en (torch fp32) on 1 x ml.c7i.xlarge with 25.0% of the requests, "
        "expected $312.44 a month at prices of 2026-09-22, plan spring"
    )
    assert "in its shadow jina-reranker-v1-base-en" in render(deployment(variants=[shadow]))["Description"]


@pytest.mark.parametrize(
    ("costs", "told"),
    [
        ((None, None), "unknown"),
        (("10", None), "at least $10.00"),
        ((None, "10"), "at least $10.00"),
        (("1", "2"), "$3.00"),
    ],
)
def test_an_unknown_cost_is_no_zero(deployment, variant, expected, costs, told):
    own, others = (expected(monthly_cost=cost) for cost in costs)
    assert monthly_cost(deployment(expected=own, variants=[variant(expected=others)])) == told
