"""A serverless endpoint: memory and concurrency in place of instances."""

from __future__ import annotations

import pytest


@pytest.fixture
def serverless(deployment):
    def make(**changes):
        return deployment(
            **{"mode": "serverless", "instance": None, "memory_mb": 2048, "concurrency": 20, "stack": "RerankSleepy"}
            | changes
        )

    return make


def _variant(template):
    (variant,) = template.one("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    return variant


def test_it_has_memory_and_concurrency_and_nothing_of_an_instance(render, serverless):
    variant = _variant(render(serverless()))
    assert set(variant) == {"VariantName", "ModelName", "ServerlessConfig"}
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 20}


def test_some_of_it_can_be_kept_warm(render, serverless):
    template = render(serverless(provisioned_concurrency=3))
    assert _variant(template)["ServerlessConfig"]["ProvisionedConcurrency"] == 3
    assert "3 kept warm" in template["Description"]


def test_what_serverless_does_not_take_is_not_asked_for(render, serverless):
    template = render(serverless())
    model, config = template.one("AWS::SageMaker::Model"), template.one("AWS::SageMaker::EndpointConfig")
    assert "EnableNetworkIsolation" not in model
    assert "VpcConfig" not in model
    assert set(config) == {"ProductionVariants", "Tags"}


def test_the_container_has_one_worker_and_the_limits_of_serverless(render, serverless):
    environment = render(serverless()).one("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
    assert environment["RERANK_WORKERS"] == "1"
    assert environment["RERANK_MAX_BODY_MB"] == "4"


def test_the_image_is_built_for_x86(plan, serverless, synthesise):
    from infra.options import Options

    assembly = synthesise(plan(serverless()), Options(build="docker"))
    assert assembly.get_stack_by_name("RerankSleepy").template


def test_the_description_tells_memory_and_concurrency(render, serverless):
    assert render(serverless())["Description"] == (
        "jina-reranker-v1-tiny-en (torch fp32) serverless with 2048 MB, up to 20 at once, "
        "expected $156.22 a month at prices of 2026-09-22, plan spring"
    )


def test_another_mode_is_an_update_of_the_same_endpoint(render, deployment, serverless):
    """CloudFormation knows a resource by its logical id."""

    def endpoints(template):
        return [name for name, one in template["Resources"].items() if one["Type"] == "AWS::SageMaker::Endpoint"]

    assert endpoints(render(serverless())) == endpoints(render(deployment(stack="RerankSleepy")))
