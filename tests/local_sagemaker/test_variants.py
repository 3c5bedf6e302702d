"""Several variants behind one endpoint: shares by weight, a named one, and a shadow that nobody hears of."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from botocore.exceptions import ClientError

from rerank_toolkit.contracts.wire import decode_origin
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Fleet, Member

from .conftest import LocalAws
from .serving import (
    containers_of,
    eventually,
    invoke,
    make_config,
    make_endpoint,
    make_model,
    metric_sum,
    remove_endpoint,
    settled,
    variant,
)


@pytest.fixture(scope="module")
def two(local_aws: LocalAws, model_data: str) -> Iterator[str]:
    make_model(local_aws, "two-first", model_data, RERANK_TOKEN_BUDGET="512")
    make_model(local_aws, "two-second", model_data, RERANK_TOKEN_BUDGET="256")
    config = make_config(
        local_aws,
        "two",
        variant("two-first", "First", InitialVariantWeight=1.0),
        variant("two-second", "Second", InitialVariantWeight=0.0),
    )
    make_endpoint(local_aws, "two", config)
    yield "two"
    remove_endpoint(local_aws, "two")


def test_requests_go_by_weight_or_to_the_variant_that_they_name(local_aws: LocalAws, two: str) -> None:
    assert {invoke(local_aws, two)["InvokedProductionVariant"] for _ in range(10)} == {"First"}
    named = invoke(local_aws, two, TargetVariant="Second")
    assert named["InvokedProductionVariant"] == "Second"
    origin = decode_origin(named["CustomAttributes"])
    assert origin is not None
    assert origin.token_budget == 256, "each variant runs its own model"

    sagemaker = local_aws.client("sagemaker")
    weights = [{"VariantName": "First", "DesiredWeight": 0.0}, {"VariantName": "Second", "DesiredWeight": 3.0}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=two, DesiredWeightsAndCapacities=weights)
    described = {entry["VariantName"]: entry for entry in settled(local_aws, two)["ProductionVariants"]}
    assert described["First"]["CurrentWeight"] == described["First"]["DesiredWeight"] == 0.0
    assert described["Second"]["CurrentWeight"] == 3.0
    assert {invoke(local_aws, two)["InvokedProductionVariant"] for _ in range(10)} == {"Second"}

    weights = [{"VariantName": "First", "DesiredWeight": 3.0}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=two, DesiredWeightsAndCapacities=weights)
    settled(local_aws, two)
    answered = [invoke(local_aws, two)["InvokedProductionVariant"] for _ in range(60)]
    assert 10 < answered.count("First") < 50, "a half each: beyond these bounds once in ten million times"


def test_images_and_counts_are_described_as_they_are(local_aws: LocalAws, two: str) -> None:
    endpoint = local_aws.client("sagemaker").describe_endpoint(EndpointName=two)
    first = endpoint["ProductionVariants"][0]
    assert (first["CurrentInstanceCount"], first["DesiredInstanceCount"]) == (1, 1)
    (image,) = first["DeployedImages"]
    assert image["ResolvedImage"].startswith(image["SpecifiedImage"].rpartition(":")[0] + "@sha256:")
    assert "PendingDeploymentSummary" not in endpoint

    sagemaker = local_aws.client("sagemaker")
    weights = [{"VariantName": "First", "DesiredInstanceCount": 3}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=two, DesiredWeightsAndCapacities=weights)
    assert settled(local_aws, two)["ProductionVariants"][0]["CurrentInstanceCount"] == 3


def test_cloudwatch_hears_of_latencies_and_of_the_machines_use(local_aws: LocalAws, two: str) -> None:
    invoke(local_aws, two, TargetVariant="First")
    place = {"EndpointName": two, "VariantName": "First"}
    for name in ("ModelLatency", "OverheadLatency", "InvocationsPerInstance"):
        eventually(lambda name=name: metric_sum(local_aws, name, **place) > 0)
        eventually(lambda name=name: metric_sum(local_aws, name, **place, EndpointConfigName="two") > 0)
    machine = "/aws/sagemaker/Endpoints"
    eventually(lambda: metric_sum(local_aws, "MemoryUtilization", namespace=machine, **place) > 0)
    eventually(lambda: metric_sum(local_aws, "CPUUtilization", namespace=machine, **place) > 0)


def test_an_update_keeps_weights_and_counts_if_it_is_told_so(local_aws: LocalAws, two: str) -> None:
    sagemaker = local_aws.client("sagemaker")
    weights = [{"VariantName": "First", "DesiredWeight": 5.0, "DesiredInstanceCount": 4}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=two, DesiredWeightsAndCapacities=weights)
    settled(local_aws, two)
    excluded = [{"VariantPropertyType": "DesiredInstanceCount"}]
    sagemaker.update_endpoint(
        EndpointName=two,
        EndpointConfigName="two",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=excluded,
    )
    first = settled(local_aws, two)["ProductionVariants"][0]
    assert (first["CurrentWeight"], first["CurrentInstanceCount"]) == (5.0, 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"VariantName": "Third", "DesiredWeight": 1.0}, "Third is no variant of two; it has First, Second"),
        ({"VariantName": "First", "DesiredInstanceCount": 0}, "asynchronous endpoints alone"),
        ({"VariantName": "First", "ServerlessUpdateConfig": {"MaxConcurrency": 2}}, "First is not serverless"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    local_aws: LocalAws, two: str, change: dict[str, object], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        local_aws.client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName=two, DesiredWeightsAndCapacities=[change]
        )


def test_a_shadow_gets_copies_and_its_end_is_nobodys_business(local_aws: LocalAws, model_data: str) -> None:
    make_model(local_aws, "shadowed", model_data)
    config = make_config(
        local_aws,
        "shadowed",
        variant("shadowed", "Told", InitialVariantWeight=1.0),
        ShadowProductionVariants=[variant("shadowed", "Shadow", InitialVariantWeight=1.0)],
    )
    endpoint = make_endpoint(local_aws, "shadowed", config)
    assert [entry["VariantName"] for entry in endpoint["ShadowProductionVariants"]] == ["Shadow"]
    with pytest.raises(ClientError, match="Variant Shadow not found"):
        invoke(local_aws, "shadowed", TargetVariant="Shadow")

    for _ in range(12):
        assert invoke(local_aws, "shadowed")["InvokedProductionVariant"] == "Told"
    place = {"EndpointName": "shadowed"}
    for name in ("Told", "Shadow"):
        eventually(lambda name=name: metric_sum(local_aws, "Invocations", **place, VariantName=name) == 12)
    assert metric_sum(local_aws, "Invocation5XXErrors", **place, VariantName="Shadow") == 0

    shadow = psutil.Process(containers_of(local_aws, "shadowed")["Shadow"])
    shadow.suspend()  # never answers
    try:
        for _ in range(5):
            invoke(local_aws, "shadowed")
    finally:
        shadow.kill()
    eventually(lambda: "Shadow" not in containers_of(local_aws, "shadowed"))
    invoke(local_aws, "shadowed")
    assert settled(local_aws, "shadowed")["EndpointStatus"] == "InService"
    remove_endpoint(local_aws, "shadowed")


def test_half_the_weight_is_half_the_copies() -> None:
    told = Member("Told", {}, 1, weight=2.0)
    fleet = Fleet("any", (told,), (Member("Shadow", {}, 1, weight=1.0),))
    copies = sum(fleet.shadow_of(told) is not None for _ in range(2000))
    assert 850 < copies < 1150
    assert Fleet("any", (told,)).shadow_of(told) is None
