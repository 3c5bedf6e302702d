"""Updates that move traffic step by step, and go back when an alarm rings or the new container is no good."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rerank_toolkit.contracts.wire import decode_origin
from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member, Replaced, Traffic
from rerank_toolkit.local_sagemaker.sagemaker.host import Host, NoCapacity
from rerank_toolkit.local_sagemaker.sagemaker.rollout import Rollout, Step, read_rollout, rollout_faults, shift

from .conftest import LocalAws
from .serving import (
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


def blue_green(kind: str, *, wait_s: int = 1, final_s: int = 0, alarms: tuple[str, ...] = (), **size: Any) -> Any:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait_s, **size}
    watched = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}
    return {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": final_s},
        **watched,
    }


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def instances(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def rolling(size: dict[str, Any], wait_s: int = 60) -> Any:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait_s}}


@pytest.mark.parametrize(
    ("config", "count", "steps"),
    [
        (None, 4, [(1.0, 0.0)]),
        ({"AutoRollbackConfiguration": {"Alarms": []}}, 4, [(1.0, 0.0)]),
        (blue_green("ALL_AT_ONCE", wait_s=300), 4, [(1.0, 300.0)]),
        (blue_green("CANARY", wait_s=300, CanarySize=percent(10)), 4, [(0.1, 300.0), (1.0, 300.0)]),
        (blue_green("CANARY", wait_s=300, CanarySize=instances(1)), 4, [(0.25, 300.0), (1.0, 300.0)]),
        (blue_green("LINEAR", LinearStepSize=percent(40)), 4, [(0.4, 1.0), (0.8, 1.0), (1.0, 1.0)]),
        (blue_green("LINEAR", LinearStepSize=percent(50)), 4, [(0.5, 1.0), (1.0, 1.0)]),
        (rolling(instances(2)), 4, [(0.5, 60.0), (1.0, 60.0)]),
    ],
)
def test_steps_are_what_the_configuration_says(config: Any, count: int, steps: list[tuple[float, float]]) -> None:
    found = read_rollout(config, count=count).steps
    assert [(pytest.approx(step.share), step.wait_s) for step in found] == steps


def test_ten_percent_each_are_ten_steps_that_end_at_all() -> None:
    found = read_rollout(blue_green("LINEAR", LinearStepSize=percent(10)), count=1).steps
    assert len(found) == 10
    assert found[-1].share == 1.0


@pytest.mark.parametrize(
    ("config", "count", "said"),
    [
        (blue_green("CANARY"), 4, "of type CANARY must have CanarySize"),
        (blue_green("CANARY", CanarySize=percent(51)), 4, "is 51 %; it must be from 1 to 50"),
        (blue_green("CANARY", CanarySize=instances(3)), 4, "is 3 of 4; at most half"),
        (blue_green("CANARY", CanarySize=instances(1)), 1, "is 1 of 1; at most half"),
        (blue_green("LINEAR", LinearStepSize=percent(9)), 4, "from 10 to 50"),
        (rolling(percent(4)), 4, "from 5 to 50"),
        (blue_green("ALL_AT_ONCE") | rolling(percent(10)), 4, "may have one"),
    ],
)
def test_a_size_that_sagemaker_would_refuse_is_refused(config: Any, count: int, said: str) -> None:
    (fault,) = rollout_faults(config, count=count)
    assert said in fault


def test_traffic_moves_by_the_steps_and_stated_time_passes_faster() -> None:
    traffic = Traffic(present="old")
    seen: list[tuple[float, float]] = []
    rollout = Rollout((Step(0.25, 100.0), Step(1.0, 100.0)), 300.0, ("any",))

    def trouble(scale: float) -> str | None:
        seen.append((traffic.share, scale))
        return None

    why = shift(
        traffic, "new", rollout, trouble=trouble, cancelled=Event(), longest_wait_s=0.1, tell=lambda stage: None
    )
    assert why is None
    assert {(share, round(scale, 6)) for share, scale in seen} == {(0.25, 0.001), (1.0, 0.0005)}
    picked = Counter(Traffic("old", "new", 0.25).pick() for _ in range(4000))
    assert 850 < picked["new"] < 1150


def test_trouble_at_the_second_step_brings_everything_back() -> None:
    traffic = Traffic(present="old")
    rollout = Rollout((Step(0.5, 0.0), Step(1.0, 0.0)), 0.0, ())
    why = shift(
        traffic,
        "new",
        rollout,
        trouble=lambda _: "it rang" if traffic.share == 1.0 else None,
        cancelled=Event(),
        longest_wait_s=0.0,
        tell=lambda stage: None,
    )
    assert why == "it rang"
    assert (traffic.present, traffic.incoming, traffic.share) == ("old", None, 0.0)


def test_a_request_that_comes_too_late_for_a_container_is_sent_to_the_next(tmp_path: Path) -> None:
    host = Host(Clients("http://127.0.0.1:9", "us-east-1"), folder=tmp_path, mark="t", region="us-east-1")
    outdated, asleep = Member("outdated", {}, 1), Member("asleep", {}, 0)
    host.retire([outdated])
    with pytest.raises(Replaced), host.use("any", outdated):
        raise AssertionError
    with pytest.raises(NoCapacity), host.use("any", asleep):
        raise AssertionError


@pytest.fixture(scope="module")
def rolled(local_aws: LocalAws, model_data: str) -> Iterator[str]:
    """An endpoint of token budget 100, and configurations for others."""
    for name, environment in {
        "rolled-100": {"RERANK_TOKEN_BUDGET": "100"},
        "rolled-200": {"RERANK_TOKEN_BUDGET": "200"},
        "rolled-300": {"RERANK_TOKEN_BUDGET": "300", "RERANK_MAX_BODY_MB": "0.00001"},  # refuses every body
        "rolled-bad": {"RERANK_TOKEN_BUDGET": "none at all"},
    }.items():
        make_config(local_aws, name, variant(make_model(local_aws, name, model_data, **environment)))
    make_config(local_aws, "rolled-renamed", variant("rolled-200", "Renamed"))
    make_endpoint(local_aws, "rolled", "rolled-100", DeploymentConfig=blue_green("CANARY", CanarySize=percent(50)))
    yield "rolled"
    remove_endpoint(local_aws, "rolled")


def put_alarm(local_aws: LocalAws, name: str, **more: Any) -> str:
    local_aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        **{
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocation4XXErrors",
            "Dimensions": [],
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 2,
            "Threshold": 0.5,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            **more,
        },
    )
    return name


@contextmanager
def callers(local_aws: LocalAws, endpoint: str) -> Iterator[list[int | str]]:
    """Callers who never stop: the token budget of who answered each of them, or the error."""
    told: list[int | str] = []
    stop = Event()

    def call() -> None:
        while not stop.is_set():
            try:
                origin = decode_origin(invoke(local_aws, endpoint)["CustomAttributes"])
                told.append(origin.token_budget if origin else "no origin")
            except ClientError as error:
                told.append(error.response["Error"]["Code"])

    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(call) for _ in range(2)]
        try:
            yield told
        finally:
            stop.set()
            for done in calls:
                done.result()


def test_a_canary_shares_the_traffic_and_then_has_it_and_no_caller_notices(local_aws: LocalAws, rolled: str) -> None:
    sagemaker = local_aws.client("sagemaker")
    with callers(local_aws, rolled) as told:
        eventually(lambda: told)
        sagemaker.update_endpoint(EndpointName=rolled, EndpointConfigName="rolled-200", RetainDeploymentConfig=True)
        stages = set()
        while (endpoint := sagemaker.describe_endpoint(EndpointName=rolled))["EndpointStatus"] == "Updating":
            pending = endpoint["PendingDeploymentSummary"]
            assert pending["EndpointConfigName"] == "rolled-200"
            stages.add(pending["ProductionVariants"][0]["VariantStatus"][0]["Status"])
        at_the_end = len(told)
        eventually(lambda: len(told) > at_the_end + 5)
    assert stages == {"Creating", "Baking"} | (stages & {"ActivatingTraffic"})
    assert endpoint["EndpointConfigName"] == "rolled-200"
    assert set(told) == {100, 200}
    turn = told.index(200)
    assert 100 in told[turn:], "for a time both answered"
    assert set(told[at_the_end + 2 :]) == {200}


def test_an_alarm_on_the_new_containers_errors_brings_the_old_ones_back(local_aws: LocalAws, rolled: str) -> None:
    sagemaker = local_aws.client("sagemaker")
    before = sagemaker.describe_endpoint(EndpointName=rolled)["EndpointConfigName"]
    dimensions = {"EndpointName": rolled, "VariantName": "AllTraffic", "EndpointConfigName": "rolled-300"}
    alarm = put_alarm(
        local_aws, "rolled-errors", Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()]
    )
    config = blue_green("CANARY", wait_s=300, CanarySize=percent(50), alarms=(alarm,))
    with callers(local_aws, rolled) as told:
        sagemaker.update_endpoint(EndpointName=rolled, EndpointConfigName="rolled-300", DeploymentConfig=config)
        endpoint = settled(local_aws, rolled)
        at_the_end = len(told)
        eventually(lambda: len(told) > at_the_end + 5)
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointConfigName"] == before
    assert "rolled-errors: 2 of the last 2 datapoints" in endpoint["FailureReason"]
    assert endpoint["LastDeploymentConfig"] == config
    assert "ModelError" in told[:at_the_end], "the canary had its share"
    assert set(told[at_the_end + 2 :]) == {200}
    assert metric_sum(local_aws, "Invocation4XXErrors", **dimensions) > 0


def test_an_alarm_that_rings_already_lets_nothing_new_in(local_aws: LocalAws, rolled: str) -> None:
    alarm = put_alarm(local_aws, "rolled-by-hand")
    local_aws.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="by hand")
    local_aws.client("sagemaker").update_endpoint(
        EndpointName=rolled,
        EndpointConfigName="rolled-100",
        DeploymentConfig=blue_green("ALL_AT_ONCE", final_s=60, alarms=(alarm,)),
    )
    endpoint = settled(local_aws, rolled)
    assert endpoint["EndpointConfigName"] == "rolled-200"
    assert "rolled-by-hand: by hand" in endpoint["FailureReason"]


def test_a_container_that_does_not_start_changes_nothing(local_aws: LocalAws, rolled: str) -> None:
    with callers(local_aws, rolled) as told:
        local_aws.client("sagemaker").update_endpoint(
            EndpointName=rolled,
            EndpointConfigName="rolled-bad",
            DeploymentConfig=blue_green("LINEAR", LinearStepSize=percent(50)),
        )
        endpoint = settled(local_aws, rolled)
        time.sleep(0.1)
    assert endpoint["EndpointConfigName"] == "rolled-200"
    assert "RERANK_TOKEN_BUDGET" in endpoint["FailureReason"]
    assert set(told) == {200}


@pytest.mark.parametrize(
    ("config", "deployment", "said"),
    [
        ("rolled-100", blue_green("ALL_AT_ONCE", alarms=("no-such",)), "alarms that nobody has made: no-such"),
        ("rolled-100", blue_green("CANARY", CanarySize=instances(1)), "1 of 1; at most half"),
        ("rolled-renamed", blue_green("ALL_AT_ONCE"), "AllTraffic, and shall be Renamed"),
    ],
)
def test_a_rollout_that_cannot_be_is_refused_before_it_begins(
    local_aws: LocalAws, rolled: str, config: str, deployment: Any, said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        local_aws.client("sagemaker").update_endpoint(
            EndpointName=rolled, EndpointConfigName=config, DeploymentConfig=deployment
        )
    assert settled(local_aws, rolled)["EndpointStatus"] == "InService"
