"""Serverless endpoints: cold starts, the most requests at once, memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.processes import ENDPOINT_MARK, find_marked
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Fleet, Member, Replaced, Traffic
from rerank_toolkit.local_sagemaker.sagemaker.host import Host
from rerank_toolkit.local_sagemaker.sagemaker.watch import Watch
from rerank_toolkit.local_sagemaker.settings import LocalSettings

from .conftest import IMAGE, LocalAws
from .serving import (
    BODY,
    containers_of,
    eventually,
    impatient_runtime,
    invoke,
    make_config,
    make_endpoint,
    make_model,
    metric_sum,
    remove_endpoint,
    settled,
)


def serverless(model: str, **settings: int) -> dict[str, Any]:
    config = {"MemorySizeInMB": 2048, "MaxConcurrency": 2, **settings}
    return {"VariantName": "AllTraffic", "ModelName": model, "ServerlessConfig": config}


@pytest.fixture(scope="module")
def cold(local_aws: LocalAws, model_data: str) -> Iterator[str]:
    make_config(local_aws, "cold", serverless(make_model(local_aws, "cold", model_data)))
    endpoint = make_endpoint(local_aws, "cold", "cold")
    (variant,) = endpoint["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    assert "CurrentInstanceCount" not in variant
    yield "cold"
    remove_endpoint(local_aws, "cold")


def test_a_request_to_a_container_that_is_gone_waits_for_another(local_aws: LocalAws, cold: str) -> None:
    invoke(local_aws, cold)
    first = containers_of(local_aws, cold)["AllTraffic"]
    psutil.Process(first).kill()
    eventually(lambda: not psutil.pid_exists(first))
    with ThreadPoolExecutor(2) as threads:  # both wait for the same new container
        answers = list(threads.map(lambda _: invoke(local_aws, cold), range(2)))
    assert [answer["InvokedProductionVariant"] for answer in answers] == ["AllTraffic"] * 2
    second = containers_of(local_aws, cold)["AllTraffic"]
    assert second != first
    place = {"EndpointName": cold, "VariantName": "AllTraffic"}
    eventually(lambda: metric_sum(local_aws, "ModelSetupTime", **place) > 0)
    assert settled(local_aws, cold)["EndpointStatus"] == "InService"


def test_more_requests_at_once_than_may_be_are_throttled(local_aws: LocalAws, cold: str) -> None:
    runtime = impatient_runtime(local_aws)
    container = psutil.Process(containers_of(local_aws, cold)["AllTraffic"])

    def ask(_: int) -> str:
        try:
            runtime.invoke_endpoint(EndpointName=cold, ContentType="application/json", Body=BODY)
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
            return str(error.response["Error"]["Code"])
        return "answered"

    container.suspend()  # no answer comes before all have asked
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask, number) for number in range(4)]
        eventually(lambda: sum(call.done() for call in asked) == 2)
        place = {"EndpointName": cold, "VariantName": "AllTraffic"}
        eventually(lambda: metric_sum(local_aws, "ServerlessConcurrentExecutionsUtilization", **place) >= 1)
        container.resume()
    assert sorted(call.result() for call in asked) == ["ThrottlingException"] * 2 + ["answered"] * 2


def test_concurrency_is_changed_where_it_stands(local_aws: LocalAws, cold: str) -> None:
    sagemaker = local_aws.client("sagemaker")
    before = containers_of(local_aws, cold)
    change = {"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 5, "ProvisionedConcurrency": 1}}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=cold, DesiredWeightsAndCapacities=[change])
    (variant,) = settled(local_aws, cold)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {
        "MemorySizeInMB": 2048,
        "MaxConcurrency": 5,
        "ProvisionedConcurrency": 1,
    }
    assert containers_of(local_aws, cold) == before
    change["ServerlessUpdateConfig"] = {"ProvisionedConcurrency": 6}
    with pytest.raises(ClientError, match="at most maxConcurrency, 5"):
        sagemaker.update_endpoint_weights_and_capacities(EndpointName=cold, DesiredWeightsAndCapacities=[change])


def test_four_megabytes_are_the_most(local_aws: LocalAws, cold: str) -> None:
    with pytest.raises(ClientError, match="at most 4 MB"):
        invoke(local_aws, cold, b"x" * 4_000_001)


def test_a_container_that_does_not_start_fails_the_create(local_aws: LocalAws, model_data: str) -> None:
    model = make_model(local_aws, "never", model_data, RERANK_TOKEN_BUDGET="none at all")
    make_config(local_aws, "never", serverless(model))
    local_aws.client("sagemaker").create_endpoint(EndpointName="never", EndpointConfigName="never")
    endpoint = settled(local_aws, "never")
    assert endpoint["EndpointStatus"] == "Failed"
    assert "within the allotted 180 second timeout" in endpoint["FailureReason"]
    assert "RERANK_TOKEN_BUDGET" in endpoint["FailureReason"]
    remove_endpoint(local_aws, "never")


@pytest.mark.parametrize(
    ("memory_mib", "idle_s", "killed"), [(1, 3600.0, True), (2048, 3600.0, False), (2048, 0.0, True)]
)
def test_a_container_that_holds_too_much_or_is_idle_goes_and_comes_again(
    local_aws: LocalAws, model_data: str, tmp_path: Path, memory_mib: int, idle_s: float, *, killed: bool
) -> None:
    host = Host(Clients(local_aws.document["endpoint_url"], "us-east-1"), folder=tmp_path, mark="t", region="us-east-1")
    model = {"Image": IMAGE, "ModelDataUrl": model_data, "Environment": {"RERANK_THREADS": "1"}}
    member = Member("only", model, 1, serverless={"MemorySizeInMB": memory_mib, "MaxConcurrency": 1})
    endpoint = Endpoint("watched", "arn", "config", traffic=Traffic(Fleet("config", (member,))))
    watch = Watch(lambda: [endpoint], list, host, idle_s=idle_s)
    try:
        with host.use("watched", member) as (container, setup_s):
            assert setup_s > 0
            if idle_s:
                watch.look()
        time.sleep(0.1)
        watch.look()
        assert (container.exit_code is not None) is killed
        if killed:
            with host.use("watched", member) as (again, setup_s):
                assert setup_s > 0
                assert again is not container
        else:
            with host.use("watched", member) as (again, setup_s):
                assert (again, setup_s) == (container, 0.0)
    finally:
        host.stop([member], 1.0)


def test_a_cold_start_that_meets_its_endpoints_end_leaves_no_container(
    local_aws: LocalAws, model_data: str, tmp_path: Path
) -> None:
    mark = str(tmp_path)
    clients = Clients(local_aws.document["endpoint_url"], "us-east-1")
    host = Host(clients, folder=tmp_path, mark=mark, region="us-east-1")
    model = {"Image": IMAGE, "ModelDataUrl": model_data}
    member = Member("only", model, 1, serverless={"MemorySizeInMB": 1024, "MaxConcurrency": 1})

    def use() -> None:
        with host.use("ending", member):
            raise AssertionError("it is gone")

    with ThreadPoolExecutor(1) as threads:
        cold_start = threads.submit(use)
        eventually(lambda: find_marked(mark, ENDPOINT_MARK))
        host.retire([member], 1.0)
        with pytest.raises(Replaced):
            cold_start.result(60)
    with pytest.raises(Replaced):
        use()
    assert find_marked(mark, ENDPOINT_MARK) == []


def test_settings_are_seconds() -> None:
    assert LocalSettings.from_environment({"RERANK_LOCAL_SERVERLESS_IDLE_S": " 7.5 "}) == LocalSettings(
        serverless_idle_s=7.5
    )
